//! Views of matrices: a pointer, a shape, two strides.
//!
//! After the door there is no layout and no transposition, only strides. They count elements,
//! not bytes, and may be zero or negative. Index arithmetic is `isize` throughout, so that a
//! 32-bit `lda` never limits the size of a matrix.

use std::marker::PhantomData;

/// A matrix that is only read.
#[derive(Debug)]
pub struct MatRef<'a, T> {
    ptr: *const T,
    rows: usize,
    cols: usize,
    row_stride: isize,
    col_stride: isize,
    life: PhantomData<&'a T>,
}

/// A matrix that is written. No two of its elements share memory.
#[derive(Debug)]
pub struct MatMut<'a, T> {
    ptr: *mut T,
    rows: usize,
    cols: usize,
    row_stride: isize,
    col_stride: isize,
    life: PhantomData<&'a mut T>,
}

// SAFETY: a `MatRef` gives shared read access and nothing else, like `&[T]`.
unsafe impl<T: Sync> Send for MatRef<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for MatRef<'_, T> {}
// SAFETY: a `MatMut` is the only way to its elements, like `&mut [T]`.
unsafe impl<T: Send> Send for MatMut<'_, T> {}
// SAFETY: a shared `MatMut` gives no access to elements but through unsafe pointer arithmetic,
// whose caller vouches for the absence of races.
unsafe impl<T: Sync> Sync for MatMut<'_, T> {}

impl<T> Clone for MatRef<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for MatRef<'_, T> {}

impl<'a, T> MatRef<'a, T> {
    /// A view of `rows × cols` elements, element (i, j) at `ptr + i·row_stride + j·col_stride`.
    ///
    /// # Safety
    /// For the lifetime `'a` every such element is readable and initialised, and nobody writes
    /// it. Nothing is asked of `ptr` when `rows` or `cols` is 0.
    #[inline]
    pub unsafe fn new(
        ptr: *const T,
        rows: usize,
        cols: usize,
        row_stride: isize,
        col_stride: isize,
    ) -> Self {
        MatRef { ptr, rows, cols, row_stride, col_stride, life: PhantomData }
    }

    /// A column-major matrix with leading dimension `ld` in `data`.
    ///
    /// # Panics
    /// When `ld < rows` or `data` is too short.
    pub fn from_col_major(data: &'a [T], rows: usize, cols: usize, ld: usize) -> Self {
        check_slice(data.len(), rows, cols, ld);
        // SAFETY: the largest index, (cols-1)·ld + rows-1, lies in `data` as just checked, and
        // the borrow keeps writers away.
        unsafe { Self::new(data.as_ptr(), rows, cols, 1, ld as isize) }
    }

    /// A row-major matrix with leading dimension `ld` in `data`.
    ///
    /// # Panics
    /// When `ld < cols` or `data` is too short.
    pub fn from_row_major(data: &'a [T], rows: usize, cols: usize, ld: usize) -> Self {
        Self::from_col_major(data, cols, rows, ld).t()
    }

    /// The first element.
    #[inline]
    pub fn ptr(&self) -> *const T {
        self.ptr
    }
    /// Number of rows.
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Number of columns.
    #[inline]
    pub fn cols(&self) -> usize {
        self.cols
    }
    /// Elements from one row to the next.
    #[inline]
    pub fn row_stride(&self) -> isize {
        self.row_stride
    }
    /// Elements from one column to the next.
    #[inline]
    pub fn col_stride(&self) -> isize {
        self.col_stride
    }
    /// Whether neighbouring rows lie side by side; a single one is as good.
    #[inline]
    pub fn has_contiguous_rows(&self) -> bool {
        self.row_stride == 1 || self.rows <= 1
    }
    /// The transpose: the same memory with rows and columns exchanged.
    #[inline]
    pub fn t(self) -> Self {
        MatRef {
            ptr: self.ptr,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            life: PhantomData,
        }
    }
    /// Becomes its transpose.
    #[inline]
    pub fn transpose(&mut self) {
        std::mem::swap(&mut self.rows, &mut self.cols);
        std::mem::swap(&mut self.row_stride, &mut self.col_stride);
    }
    /// Address of element (i, j). May point anywhere when the element does not exist.
    #[inline]
    pub fn at(&self, i: usize, j: usize) -> *const T {
        self.ptr.wrapping_offset(offset(i, j, self.row_stride, self.col_stride))
    }
    /// The block of `rows × cols` elements that starts at (i, j).
    ///
    /// # Panics
    /// When the block does not lie inside the matrix.
    pub fn block(&self, i: usize, j: usize, rows: usize, cols: usize) -> MatRef<'a, T> {
        assert!(i + rows <= self.rows && j + cols <= self.cols, "block outside the matrix");
        MatRef { ptr: self.at(i, j), rows, cols, ..*self }
    }
}

impl<'a, T> MatMut<'a, T> {
    /// A view of `rows × cols` elements, element (i, j) at `ptr + i·row_stride + j·col_stride`.
    ///
    /// # Safety
    /// For the lifetime `'a` every such element is writable, no two of them overlap, and nobody
    /// else reads or writes them. They need not be initialised to anything in particular.
    /// Nothing is asked of `ptr` when `rows` or `cols` is 0.
    #[inline]
    pub unsafe fn new(
        ptr: *mut T,
        rows: usize,
        cols: usize,
        row_stride: isize,
        col_stride: isize,
    ) -> Self {
        MatMut { ptr, rows, cols, row_stride, col_stride, life: PhantomData }
    }

    /// A column-major matrix with leading dimension `ld` in `data`.
    ///
    /// # Panics
    /// When `ld < rows` or `data` is too short.
    pub fn from_col_major(data: &'a mut [T], rows: usize, cols: usize, ld: usize) -> Self {
        check_slice(data.len(), rows, cols, ld);
        // SAFETY: the largest index, (cols-1)·ld + rows-1, lies in `data` as just checked; with
        // ld ≥ rows no two elements coincide, and the borrow is exclusive.
        unsafe { Self::new(data.as_mut_ptr(), rows, cols, 1, ld as isize) }
    }

    /// A row-major matrix with leading dimension `ld` in `data`.
    ///
    /// # Panics
    /// When `ld < cols` or `data` is too short.
    pub fn from_row_major(data: &'a mut [T], rows: usize, cols: usize, ld: usize) -> Self {
        Self::from_col_major(data, cols, rows, ld).t()
    }

    /// The first element.
    #[inline]
    pub fn ptr(&self) -> *mut T {
        self.ptr
    }
    /// Number of rows.
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Number of columns.
    #[inline]
    pub fn cols(&self) -> usize {
        self.cols
    }
    /// Elements from one row to the next.
    #[inline]
    pub fn row_stride(&self) -> isize {
        self.row_stride
    }
    /// Elements from one column to the next.
    #[inline]
    pub fn col_stride(&self) -> isize {
        self.col_stride
    }
    /// The transpose: the same memory with rows and columns exchanged.
    #[inline]
    pub fn t(self) -> Self {
        MatMut {
            ptr: self.ptr,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            life: PhantomData,
        }
    }
    /// Becomes its transpose.
    #[inline]
    pub fn transpose(&mut self) {
        std::mem::swap(&mut self.rows, &mut self.cols);
        std::mem::swap(&mut self.row_stride, &mut self.col_stride);
    }
    /// Address of element (i, j). May point anywhere when the element does not exist.
    #[inline]
    pub fn at(&self, i: usize, j: usize) -> *mut T {
        self.ptr.wrapping_offset(offset(i, j, self.row_stride, self.col_stride))
    }
    /// The block of `rows × cols` elements that starts at (i, j).
    ///
    /// # Panics
    /// When the block does not lie inside the matrix.
    pub fn block(&mut self, i: usize, j: usize, rows: usize, cols: usize) -> MatMut<'_, T> {
        assert!(i + rows <= self.rows && j + cols <= self.cols, "block outside the matrix");
        MatMut { ptr: self.at(i, j), rows, cols, life: PhantomData, ..*self }
    }
}

/// Distance of element (i, j) from the first. Wraps only for an element that cannot exist.
#[inline]
fn offset(i: usize, j: usize, row_stride: isize, col_stride: isize) -> isize {
    (i as isize).wrapping_mul(row_stride).wrapping_add((j as isize).wrapping_mul(col_stride))
}

fn check_slice(len: usize, rows: usize, cols: usize, ld: usize) {
    assert!(ld >= rows, "leading dimension {ld} below {rows}");
    if rows > 0 && cols > 0 {
        let end = (cols - 1).checked_mul(ld).and_then(|x| x.checked_add(rows));
        assert!(end.is_some_and(|end| end <= len), "slice too short for the matrix");
    }
}
