//! Products with something missing round them: right results, no word, no crash.

use crate::chaos::{self, On, Programs};
use crate::tally::Tally;
use crate::tree::Tree;
use anyhow::Result;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// What `surroundings.c` takes away, and how much of it is left.
const MISSING: [(&str, &[&str]); 8] = [
    ("descriptors", &["3", "4", "5", "6", "8"]),
    // Bytes beside what is in use before the first product.
    (
        "memory",
        &[
            "0",
            "200000",
            "1000000",
            "4000000",
            "8000000",
            "10000000",
            "12000000",
            "16000000",
            "40000000",
            "150000000",
        ],
    ),
    ("threads", &[""]),
    ("cpus", &[""]),
    ("ioctl", &[""]),
    ("files", &[""]),
    ("proc", &[""]),
    ("writing", &[""]),
];

/// The exit status of a program that may not take the thing away.
const CANNOT: i32 = 77;

/// Everything, with what could not run.
pub fn run(tree: &Tree) -> Result<()> {
    chaos::conclude(&test(tree)?)
}

/// Everything: it is quick.
pub fn test(tree: &Tree) -> Result<Tally> {
    let programs = Programs::build(tree, &["surroundings", "faults"])?;
    let mut tally = Tally::default();
    for (what, amounts) in MISSING {
        for amount in amounts {
            for (place, on) in [("CPU", On::Cpu), ("NPU", On::Sim(&[]))] {
                let name = format!("without {what} {amount} on the {place}");
                let command = programs.command("surroundings", &[what, amount]);
                let finished = programs.run(&command, on, &[], LIMIT, "surroundings")?;
                if finished.status.code() == Some(CANNOT) {
                    tally.skip(&name, "this process may not take that away");
                } else {
                    tally.note(&name, chaos::ended_in_silence(&finished));
                }
            }
        }
    }
    // root opens a node of any mode, so the error is made.
    let unreadable = ["--fault=errno=EACCES:open".to_owned()];
    let command = programs.command("surroundings", &["cpus"]);
    let finished = programs.run(&command, On::Sim(&unreadable), &[], LIMIT, "surroundings")?;
    tally.note("an unreadable node", chaos::ended_in_silence(&finished));
    Ok(tally)
}
