//! All targets in one program, which is linked once: `TIDEMILL_FUZZ_TARGET` names the one that runs.
#![no_main]
#![allow(unsafe_code)] // What the macro writes.

use std::sync::OnceLock;

use tidemill_fuzz::TARGETS;

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("TIDEMILL_FUZZ_TARGET").unwrap_or_default();
        let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) else {
            panic!("TIDEMILL_FUZZ_TARGET is '{name}'; there are {:?}", TARGETS.map(|(name, _)| name));
        };
        TARGET.get_or_init(|| *target);
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            target(data);
        }
    }
);
