//! Dependencies point one way: `cli → server → query → engine → parser`.

use std::path::Path;

/// What each package may use of the others.
const ALLOWED: [(&str, &[&str]); 5] = [
    ("parser", &[]),
    ("engine", &["tidemill-parser"]),
    ("engine/query", &["tidemill-engine", "tidemill-parser"]),
    ("server", &["tidemill-query", "tidemill-engine", "tidemill-parser"]),
    ("cli", &["tidemill-server", "tidemill-engine", "tidemill-parser"]),
];

/// Crates that the engine and the parser do without: HTTP belongs to the server and the shell alone, and the continuous path
/// runs without a batch engine.
const ABOVE: [&str; 5] = ["axum", "hyper", "hyper-util", "datafusion", "arrow"];

#[test]
fn dependencies_point_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (package, allowed) in ALLOWED {
        let path = root.join(package).join("Cargo.toml");
        let manifest = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let names = manifest.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|name| !name.is_empty());
        for name in names {
            if name.starts_with("tidemill-") {
                assert!(allowed.contains(&name), "{package} must not depend on {name}");
            }
            // What happens at the engine's named points is in the binary of `tests/faulty`, and in no other.
            assert!(name != "fail", "{package} must not depend on {name}");
            if package == "engine" || package == "parser" {
                assert!(!ABOVE.contains(&name), "{package} must not depend on {name}");
            }
        }
    }
}
