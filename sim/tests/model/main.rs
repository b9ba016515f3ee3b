//! The chip model, judged by hand-made command words.

mod fuzz;
mod products;
mod refusals;
mod support;
mod tasks;
