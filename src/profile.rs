//! The cost model: what a product costs on the CPU and on the NPU of a machine.

/// A product as the cost model sees it: `C = A·B` of m × n by an inner dimension of k.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Product {
    /// m, n, k in elements.
    pub shape: (usize, usize, usize),
    /// Bytes of a real number.
    pub bytes: usize,
    /// Real numbers per element: 2 where the elements are complex.
    pub parts: usize,
}

/// The integer products that stand for one product on the NPU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    /// int8 planes per operand.
    pub planes: usize,
    /// int8 products.
    pub products: usize,
    /// int32 results per element of C.
    pub outputs: usize,
    /// Most products that are summed in one result.
    pub deepest: usize,
    /// Real numbers that share a place in the planes: 2 where complex numbers are split as such.
    pub parts: usize,
}

/// Constants of the cost model for one machine, all in seconds, bytes and operations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// Name in `NPUBLAS_PROFILE`.
    pub name: &'static str,
    /// NPU cores.
    pub cores: f64,
    /// int8 multiply-accumulates per second and core that the MAC array sustains.
    pub macs_per_core: f64,
    /// Bytes of the convolution buffer that hold the resident operand.
    pub resident: f64,
    /// DRAM bandwidth that all NPU cores together can pull.
    pub npu_bandwidth: f64,
    /// Cost of one submit.
    pub submit: f64,
    /// Cost of one task.
    pub task: f64,
    /// DRAM bandwidth of the whole machine.
    pub dram_bandwidth: f64,
    /// Bandwidth of the CPU cores together.
    pub cpu_bandwidth: f64,
    /// sgemm rate of the CPU, flop/s.
    pub cpu_sgemm: f64,
    /// Passes over A, B and C that a CPU product pays on top of its arithmetic.
    pub cpu_passes: f64,
    /// CPU cycles per second usable for splitting and recombining.
    pub cpu_cycles: f64,
    /// Cache maintenance of device buffers, bytes/s.
    pub sync_bandwidth: f64,
    /// Share of the host work that cannot overlap the device's.
    pub exposed: f64,
    /// The NPU is asked when its predicted time is below this share of the CPU's.
    pub margin: f64,
}

impl Profile {
    /// RK3588 with the NPU at 1 GHz and four Cortex-A76. Figures of others' measurements and of
    /// the technical reference manual, chapter 36; none was measured by this project.
    pub const RK3588: Profile = Profile {
        name: "rk3588",
        cores: 3.0,
        macs_per_core: 1024.0 * 1e9 * 0.85,
        resident: 288.0 * 1024.0,
        npu_bandwidth: 22e9,
        submit: 60e-6,
        task: 4e-6,
        dram_bandwidth: 25e9,
        cpu_bandwidth: 15e9,
        cpu_sgemm: 123e9,
        cpu_passes: 1.5,
        cpu_cycles: 4.0 * 2.3e9 * 0.7,
        sync_bandwidth: 10e9,
        exposed: 1.0 / 8.0,
        margin: 0.8,
    };

    /// The profile of this name.
    pub fn named(name: &str) -> Option<&'static Profile> {
        [&Profile::RK3588].into_iter().find(|p| p.name == name)
    }

    /// Predicted seconds of a product on the CPU.
    pub fn cpu_seconds(&self, product: &Product) -> f64 {
        let (m, n, k) = product.shape;
        let [m, n, k, bytes, parts] = [m, n, k, product.bytes, product.parts].map(|x| x as f64);
        let flops = 2.0 * m * n * k * parts * parts;
        let moved = (m * k + k * n + m * n) * parts * bytes;
        flops / (self.cpu_sgemm * 4.0 / bytes) + self.cpu_passes * moved / self.cpu_bandwidth
    }

    /// Predicted seconds of a product on the NPU, host and device work overlapping block by
    /// block.
    pub fn npu_seconds(&self, product: &Product, recipe: &Recipe) -> f64 {
        // Every element of B takes part as often as it has parts that are split on their own, see
        // `npu::scheme::element`.
        let (m, n, k) = product.shape;
        let lines = product.parts / recipe.parts;
        let [m, n, k] = [m, n * lines, k * lines].map(|x| x as f64);
        let Recipe { planes, products, outputs, deepest, parts } = *recipe;
        let [planes, products, outputs, deepest, bytes] =
            [planes, products, outputs, deepest, product.bytes * parts].map(|x| x as f64);
        // CPU cycles per operand element: statistics, quantisation, digits, layout; and per
        // element of C: recombination of the outputs.
        let split_cycles = 1.4 + 0.14 * planes + 0.5;
        let join_cycles = 1.2 + 0.3 * outputs;
        let rows = (self.resident / (k * deepest)).clamp(8.0, 1022.0);
        let blocks = (m / rows).ceil();
        let operands = m * k + k * n;

        let mac = products * m * n * k / (self.cores * self.macs_per_core);
        let pulled = products * k * (m + n * blocks);
        let written = outputs * 4.0 * m * n;
        let overhead = self.submit + self.task * outputs * blocks / self.cores;
        let device = mac.max((pulled + written) / self.npu_bandwidth) + overhead;

        let split_bytes = operands * (bytes + planes);
        let join_bytes = written + m * n * bytes;
        let cycles = operands * split_cycles + m * n * join_cycles + written / 4.0 * 0.3;
        let sync = (operands * planes + written) / self.sync_bandwidth;
        let host =
            ((split_bytes + join_bytes) / self.cpu_bandwidth).max(cycles / self.cpu_cycles) + sync;
        let dram = (pulled + written + split_bytes + join_bytes) / self.dram_bandwidth;
        device.max(host).max(dram) + self.exposed * host
    }
}
