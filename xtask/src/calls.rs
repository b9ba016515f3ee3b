//! The trace of npublas: one line per BLAS call, `NPUBLAS routine key=value …`.

use std::collections::HashMap;

/// One traced call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Routine with its type letter.
    pub routine: String,
    fields: HashMap<String, String>,
}

impl Call {
    /// All calls among the lines of a program's output.
    pub fn in_text(text: &str) -> Vec<Call> {
        text.lines().filter_map(Call::parse).collect()
    }

    fn parse(line: &str) -> Option<Call> {
        let mut words = line.strip_prefix("NPUBLAS ")?.split(' ');
        let routine = words.next()?.to_owned();
        let fields = words
            .filter_map(|word| word.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Some(Call { routine, fields })
    }

    /// The value of a key; empty when the line has none.
    pub fn text(&self, key: &str) -> &str {
        self.fields.get(key).map_or("", String::as_str)
    }

    /// The value of a key as a number; 0 when the line has none.
    pub fn number(&self, key: &str) -> usize {
        self.text(key).parse().unwrap_or(0)
    }

    /// Whether the NPU computed it.
    pub fn on_npu(&self) -> bool {
        self.text("route") == "npu"
    }

    /// Whether it multiplies m by k with k by n, or the transposed problem, which is the same
    /// product seen by columns.
    pub fn has_shape(&self, m: usize, n: usize, k: usize) -> bool {
        let seen = (self.number("m"), self.number("n"));
        self.number("k") == k && (seen == (m, n) || seen == (n, m))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_calls_between_other_lines() {
        let text = "hello\nNPUBLAS sgemm m=2 n=3 k=4 route=npu reason=always jobs=5 ms=0.1\nbye\n";
        let calls = Call::in_text(text);
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].routine, "sgemm");
        assert!(calls[0].on_npu());
        assert!(calls[0].has_shape(3, 2, 4) && !calls[0].has_shape(2, 3, 5));
        assert_eq!((calls[0].number("jobs"), calls[0].number("tasks")), (5, 0));
    }
}
