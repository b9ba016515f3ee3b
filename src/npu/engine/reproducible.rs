//! Products whose bits follow from type, shape, mode and data alone.
//!
//! What decides them is found out first, for the whole call: whether the integers of a scheme
//! serve it, of which, and which lines are not for them. Only then is asked who computes the
//! integers: the device as much as it can, the CPU whatever is left. Both have the same sums and
//! end in the same formula, so that it does not show in the result.

use super::area::Area;
use super::choice::{Choice, Ladder};
use super::host::{self, Tiling};
use super::{Npu, Outcome, Terms, Work, headroom, shape};
use crate::npu::int8;
use crate::npu::scheme::Element;
use crate::problem::Gemm;
use crate::route::Reason;

/// Computes `C ← α·A·B + β·C`, on the device where there is one. α, k and the size of C are not
/// zero.
///
/// When no scheme serves the product, the outcome says so and C is untouched. Otherwise nothing is
/// left but for want of memory, and [`Outcome::host`] names the scheme when the CPU computed
/// anything; that the device declined the call, and why, is no more than information then.
pub fn gemm<T: Element>(
    npu: Option<&Npu>,
    problem: &mut Gemm<'_, T>,
    terms: &Terms<'_>,
) -> Outcome {
    let choice = match choose(problem, terms) {
        Ok(choice) => choice,
        Err(reason) => return Outcome::declined(reason),
    };
    let mut outcome = match npu {
        Some(npu) => npu.run(problem, Work::Chosen(&choice), terms),
        None => Outcome::default(),
    };
    if npu.is_none() || outcome.declined.is_some() {
        outcome.left = vec![Area { rows: 0..problem.m(), cols: 0..problem.n() }];
    }
    if !outcome.left.is_empty() {
        outcome.host = Some(choice.scheme.name);
        let family = int8::chosen(terms.config.cpu_kernel.as_deref());
        let how = (family, Tiling::default());
        let left = std::mem::take(&mut outcome.left).into_iter();
        let compute = |area| host::compute(problem, &area, &choice, how, terms.threads);
        outcome.left = left.flat_map(compute).collect();
    }
    // Not those of the device's parts: the shape of an area shows in its bits.
    outcome.spared = choice.spared.areas(problem.m(), problem.n());
    outcome
}

fn choose<T: Element>(problem: &Gemm<'_, T>, terms: &Terms<'_>) -> Result<Choice, Reason> {
    let shape = shape(problem);
    // All of the product in integers or none of it, for floating point shows which CPU it was.
    let ladder = Ladder { may_part: false, ..Ladder::of::<T>(terms.policy, shape) };
    if let Some(reason) = ladder.refuse(problem) {
        return Err(reason);
    }
    if !headroom::is_there::<T>(shape, ladder.schemes, int8::MAX_COLUMNS, terms.threads.count(), 0)
    {
        return Err(Reason::Memory);
    }
    Choice::new(problem, ladder, terms.threads)
}
