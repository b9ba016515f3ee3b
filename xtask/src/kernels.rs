//! Whether the sums of the CPU's kernels stay in registers, seen in their machine code.
//!
//! One loop over the accumulators that the compiler does not unroll, or one accumulator more than
//! there are registers, and they live in memory: right results and all, at half the speed. Only
//! the release build is looked at. Others check their arithmetic and spill what they like.

use crate::shell;
use crate::tally::Tally;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::process::Command;

/// One instruction: its address, and what stands for it in a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instruction<'a> {
    address: u64,
    name: &'a str,
    operands: &'a str,
}

/// Looks at every kernel of a library with an `objdump` that knows its instructions. One test per
/// kernel family.
pub fn check(mut objdump: Command, library: &str) -> Result<Tally> {
    objdump.args(["--disassemble", "--demangle", "--no-show-raw-insn", "--wide", library]);
    let done =
        objdump.output().with_context(|| format!("running {}", shell::describe(&objdump)))?;
    ensure!(done.status.success(), "{} ended with {}", shell::describe(&objdump), done.status);
    let listing = String::from_utf8_lossy(&done.stdout);
    let mut families: BTreeMap<&str, Vec<Vec<Instruction<'_>>>> = BTreeMap::new();
    for (family, kernel) in kernels(&listing) {
        families.entry(family).or_default().push(kernel);
    }
    ensure!(!families.is_empty(), "{library} shows no kernels");
    let mut tally = Tally::default();
    for (family, kernels) in families {
        let result = kernels.iter().try_for_each(|kernel| keeps_its_sums(kernel));
        tally.note(&format!("{} {family} kernels", kernels.len()), result);
    }
    Ok(tally)
}

/// The micro-kernels and dot products in a listing, each with its family; those of the portable
/// one are vectors only if the compiler likes.
fn kernels(listing: &str) -> impl Iterator<Item = (&str, Vec<Instruction<'_>>)> {
    listing.split("\n\n").filter_map(|function| {
        let (title, body) = function.trim_start().split_once('\n')?;
        let (_, path) = title.split_once("cpu::kernel::")?;
        let (family, path) = path.split_once("::")?;
        let is_kernel = path.contains("Isa>::micro") || path.contains("Isa>::dot");
        let wanted = is_kernel && family != "portable";
        wanted.then(|| (family, body.lines().filter_map(instruction).collect()))
    })
}

/// Reads a line such as `  5dea0: vmovups (%rdi),%zmm0`.
fn instruction(line: &str) -> Option<Instruction<'_>> {
    let (address, what) = line.split_once(':')?;
    let address = u64::from_str_radix(address.trim(), 16).ok()?;
    let comment = what.find("  #").or_else(|| what.find("//"));
    let what = what[..comment.unwrap_or(what.len())].trim();
    let (name, operands) = what.split_once(char::is_whitespace).unwrap_or((what, ""));
    Some(Instruction { address, name, operands: operands.trim() })
}

/// Fails when the first loop that multiplies and adds writes to memory. Those after it, and what
/// looks like loops there, write C.
fn keeps_its_sums(kernel: &[Instruction<'_>]) -> Result<()> {
    let loops = loops(kernel);
    let start = kernel.first().map_or(0, |first| first.address);
    let Some(sum) = loops.first() else {
        bail!("the kernel at {start:x} has no loop that multiplies and adds");
    };
    match sum.iter().find(|it| it.stores_vector()) {
        Some(Instruction { address, name, operands }) => {
            bail!("the kernel at {start:x} spills: {address:x}: {name} {operands}")
        }
        None => Ok(()),
    }
}

/// The innermost loops that multiply and add, in the order of their addresses.
fn loops<'a>(kernel: &'a [Instruction<'a>]) -> Vec<&'a [Instruction<'a>]> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (end, instruction) in kernel.iter().enumerate() {
        let Some(target) = instruction.jumps_to() else { continue };
        let start = kernel[..=end].iter().position(|it| it.address == target);
        found.extend(start.map(|start| (start, end)));
    }
    // What begins in the midst of others is a loop, and these are not: they jump out of it, to
    // something that stands before it.
    let is_innermost = |&(start, end): &(usize, usize)| {
        !found.iter().any(|&inner| {
            let begins_inside = start < inner.0 && inner.0 <= end;
            begins_inside || (inner != (start, end) && start == inner.0 && inner.1 <= end)
        })
    };
    let mut innermost: Vec<_> = found.iter().copied().filter(is_innermost).collect();
    innermost.sort_unstable();
    let bodies = innermost.into_iter().map(|(start, end)| &kernel[start..=end]);
    bodies.filter(|body| body.iter().any(Instruction::multiplies_and_adds)).collect()
}

impl Instruction<'_> {
    /// Where it jumps to, if it does and says so.
    fn jumps_to(&self) -> Option<u64> {
        let jumps = ["j", "b.", "cb", "tb"].iter().any(|word| self.name.starts_with(word));
        if !jumps && self.name != "b" {
            return None;
        }
        let place = self.operands.split(" <").next()?;
        let place = place.rsplit([',', ' ']).next()?;
        u64::from_str_radix(place.trim_start_matches("0x"), 16).ok()
    }

    fn multiplies_and_adds(&self) -> bool {
        ["vfmadd", "vfnmadd", "fmla"].iter().any(|word| self.name.starts_with(word))
    }

    /// Whether it writes a vector to memory: in the listings of x86-64 the last operand is what is
    /// written, in those of aarch64 it is what the name says.
    fn stores_vector(&self) -> bool {
        if self.name.starts_with("vmov") {
            return self.operands.starts_with(['%'])
                && self.operands.contains("mm")
                && self.operands.split_once('(').is_some_and(|(_, end)| !end.contains("),"));
        }
        self.name.starts_with("st") && self.operands.starts_with(['q', 'd', '{', 'v'])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\
0000000000001000 <<npublas::cpu::kernel::wide::Wide as npublas::cpu::kernel::Isa>::micro>:
    1000:	vxorps %xmm0,%xmm0,%xmm0
    1004:	vmovups (%rdi),%zmm1
    1008:	vfmadd231ps (%rsi){1to16},%zmm1,%zmm0
    100c:	jne    1004 <npublas::x+0x4>
    1010:	vfmadd231ps %zmm2,%zmm1,%zmm0
    1014:	vmovups %zmm0,(%rdx)
    1018:	jne    1010 <npublas::x+0x10>
    101c:	ret

0000000000002000 <npublas::cpu::kernel::wide::is_available>:
    2000:	ret
";

    fn said(listing: &str) -> Option<String> {
        let mut found = kernels(listing);
        let (family, kernel) = found.next().expect("a kernel");
        assert_eq!((family, found.count()), ("wide", 0));
        keeps_its_sums(&kernel).err().map(|error| error.to_string())
    }

    #[test]
    fn sums_may_go_to_c_and_nowhere_else() {
        assert_eq!(said(LISTING), None);
        let in_the_sum = LISTING.replace("vmovups (%rdi),%zmm1", "vmovups %zmm3,(%rdi,%rax,4)");
        assert!(said(&in_the_sum).unwrap().contains("1004: vmovups"));
        let straight = LISTING.replace("jne ", "nop ");
        assert!(said(&straight).unwrap().contains("no loop"));
    }

    #[test]
    fn what_a_loop_jumps_back_to_at_its_end_is_no_loop() {
        let listing = "\
0000000000001000 <<npublas::cpu::kernel::wide::Wide as npublas::cpu::kernel::Isa>::dot>:
    1000:	jmp    100c <npublas::x+0xc>
    1004:	vmovups %zmm0,(%rsp)
    1008:	ret
    100c:	vmovups (%rdi),%zmm1
    1010:	vfmadd231ps (%rsi),%zmm1,%zmm0
    1014:	ja     1004 <npublas::x+0x4>
    1018:	jmp    100c <npublas::x+0xc>
";
        assert_eq!(said(listing), None);
    }

    #[test]
    fn stores_are_told_from_loads() {
        for (line, stores) in [
            ("0:\tvmovaps %zmm0,0x40(%rsp)", true),
            ("0:\tvmovups %ymm3,(%rdi,%rax,4)", true),
            ("0:\tvmovups %zmm3,(%rdi){%k1}", true),
            ("0:\tvmovups (%rsi),%zmm1", false),
            ("0:\tvmovups (%rdi),%zmm1{%k1}{z}", false),
            ("0:\tvmovaps 0x40(%rsp),%zmm1", false),
            ("0:\tvmovaps %zmm1,%zmm2", false),
            ("0:\tvbroadcastss 0x4(%rdx),%zmm0", false),
            ("0:\tstr\tq0, [sp, #16]", true),
            ("0:\tstp\tq0, q1, [x3]", true),
            ("0:\tstr\tx0, [sp]", false),
            ("0:\tst1\t{v0.4s}, [x1]", true),
            ("0:\tldr\tq0, [sp, #16]", false),
        ] {
            let it = instruction(line).unwrap();
            assert_eq!(it.stores_vector(), stores, "{line}");
        }
    }

    #[test]
    fn jumps_of_both_kinds_are_read() {
        for (line, target) in [
            ("0:\tjne    65a50 <npublas::f+0x80>", Some(0x65a50)),
            ("0:\tb.ne\t4a0 <npublas::f+0x80>  // b.any", Some(0x4a0)),
            ("0:\tcbnz\tx3, 4a0 <npublas::f>", Some(0x4a0)),
            ("0:\ttbz\tw3, #0, 4a0 <npublas::f>", Some(0x4a0)),
            ("0:\tjmp    *%rax", None),
            ("0:\tbl\t4a0 <npublas::f>", None),
        ] {
            assert_eq!(instruction(line).unwrap().jumps_to(), target, "{line}");
        }
    }
}
