//! The convolution buffer between two tasks: what the reuse bits may find there.

use super::Hang;
use super::cna::Cna;

/// One operand as the task before left it: its bytes, and the task that put it there.
#[derive(Debug, Default)]
struct Kept(Option<(Cna, Vec<u8>)>);

impl Kept {
    /// The bytes, if a task whose buffer looks the same left them.
    fn take(
        &mut self,
        cna: &Cna,
        bit: &str,
        same: fn(&Cna, &Cna) -> bool,
    ) -> Result<Vec<u8>, Hang> {
        match self.0.take() {
            Some((before, bytes)) if same(&before, cna) => Ok(bytes),
            Some(_) => Err(Hang {
                reason: format!("CNA_CBUF_CON0: {bit} after a task of another shape or bank split"),
            }),
            None => Err(Hang {
                reason: format!("CNA_CBUF_CON0: {bit}, but the CBUF does not hold the operand"),
            }),
        }
    }
}

/// The operands that are still in the buffer.
#[derive(Debug, Default)]
pub struct Cbuf {
    features: Kept,
    weights: Kept,
}

impl Cbuf {
    /// The features of the task before, which `cna` asks to reuse.
    pub fn take_features(&mut self, cna: &Cna) -> Result<Vec<u8>, Hang> {
        self.features.take(cna, "DATA_REUSE", |a, b| {
            let shape = |c: &Cna| {
                (c.input, c.width, c.height, c.channels, c.entries, c.data_banks, c.weight_banks)
            };
            shape(a) == shape(b)
        })
    }

    /// The weights of the task before, which `cna` asks to reuse.
    pub fn take_weights(&mut self, cna: &Cna) -> Result<Vec<u8>, Hang> {
        self.weights.take(cna, "WEIGHT_REUSE", |a, b| {
            let shape = |c: &Cna| (c.input, c.channels, c.kernels, c.data_banks, c.weight_banks);
            shape(a) == shape(b)
        })
    }

    /// What `cna`'s task leaves behind. Weights that streamed through the buffer are not left.
    pub fn keep(&mut self, cna: &Cna, features: Vec<u8>, weights: Option<Vec<u8>>) {
        self.features.0 = Some((cna.clone(), features));
        self.weights.0 = weights.map(|bytes| (cna.clone(), bytes));
    }
}
