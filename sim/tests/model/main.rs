//! The chip model, judged by hand-made command words.

mod fuzz;
mod products;
mod program;
mod refusals;
mod support;
mod tasks;
