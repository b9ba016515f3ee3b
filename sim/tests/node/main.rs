//! The node from a program's side: programs of all kinds run under the simulator.
//!
//! * `uapi`: what calls return; through the real binary.
//! * `jobs`: what becomes of jobs; with puppets for cores, so that no register matters.
//! * `processes`: fork, threads, signals, death, other people's programs.

mod client;
mod jobs;
mod processes;
mod puppet;
mod support;
mod uapi;

/// Not a test by itself: the place where a client of the other tests starts.
#[test]
fn role() {
    support::play(&[uapi::CLIENTS, jobs::CLIENTS, processes::CLIENTS].concat());
}
