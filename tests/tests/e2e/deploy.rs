//! What `docs/deploy` has, as far as it can be checked without Docker and without being root: the image's files, packages and
//! variables, and the unit for systemd.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tidemill_tests::server::{ServerProcess, free_port, tidemill_binary};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// An instruction of the Dockerfile and its arguments, lines that go on put together.
fn instructions() -> Vec<(String, String)> {
    let text = read("docs/deploy/Dockerfile").replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').expect("an instruction and its arguments")).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

/// The arguments of an instruction, each time that it stands there.
fn of(instruction: &str) -> Vec<String> {
    instructions().into_iter().filter(|(name, _)| name == instruction).map(|(_, arguments)| arguments).collect()
}

/// A JSON list of texts, as ENTRYPOINT and CMD have it.
fn list(instruction: &str) -> Vec<String> {
    of(instruction).first().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| panic!("{instruction} in JSON"))
}

#[test]
fn all_that_the_image_copies_is_there() {
    let ignored: Vec<String> = read(".dockerignore").lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    let build = of("RUN").into_iter().find(|run| run.contains("cargo build")).expect("a build");
    let words: Vec<&str> = build.split_whitespace().collect();
    let behind = |flag: &str| words.iter().position(|word| *word == flag).map(|at| words[at + 1]).unwrap_or_else(|| panic!("{flag}"));
    let built = format!("{}/release/{}", behind("--target-dir"), behind("--bin"));
    assert!(words.contains(&"--release") && words.contains(&"--locked"), "{build}");
    for copy in of("COPY") {
        let parts: Vec<&str> = copy.split_whitespace().collect();
        match parts.as_slice() {
            [from, source, target] if *from == "--from=build" => {
                assert_eq!(*source, built);
                assert_eq!(Path::new(target).file_name().and_then(|name| name.to_str()), Some(list("ENTRYPOINT")[0].as_str()));
            }
            [sources @ .., _] => {
                for source in sources {
                    assert!(root().join(source).exists(), "{source} is not there");
                }
            }
            [] => panic!("nothing is copied"),
        }
    }
    // All of what the build reads comes along.
    let manifest = read("Cargo.toml");
    let members = manifest.lines().find(|line| line.starts_with("members")).expect("the members");
    for member in members.split('"').skip(1).step_by(2).chain(["Cargo.toml", "Cargo.lock", "docs", "sql-examples"]) {
        assert!(root().join(member).exists(), "{member}");
        assert!(!ignored.iter().any(|pattern| pattern.trim_start_matches("**/").trim_end_matches('/') == member), "{member} is ignored");
    }
    // And of what the setup of a build installs.
    let needed = read(".ci/setup");
    let needed = needed.lines().take_while(|line| !line.starts_with("if ")).filter_map(|line| line.strip_prefix("need "));
    let installed = of("RUN").join(" ");
    for package in needed.filter_map(|line| line.split(' ').next()) {
        assert!(installed.split_whitespace().any(|word| word == package), "the image's build lacks {package}");
    }
}

/// The image's command, in the image's environment, but for a folder and a port that are the test's own.
#[test]
fn the_images_command_answers_whoever_reaches_the_container() {
    let variables: Vec<(String, String)> = of("ENV")
        .iter()
        .flat_map(|text| text.split_whitespace())
        .map(|pair| pair.split_once('=').expect("a variable and its value"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let exposed = of("EXPOSE");
    let value = |name: &str| variables.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str()).unwrap_or_default();
    assert_eq!(value("KSQL_LISTENERS"), format!("http://0.0.0.0:{}", exposed[0]));
    assert_eq!([value("TIDEMILL_DATA_DIR").to_owned()], of("VOLUME").as_slice());
    assert_eq!(list("CMD"), ["server"]);
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let listeners = value("KSQL_LISTENERS").replace(&exposed[0], &port.to_string());
    let mut child = Command::new(tidemill_binary())
        .args(list("CMD"))
        .env("KSQL_LISTENERS", listeners)
        .env("TIDEMILL_DATA_DIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let answers = ServerProcess::answers_at(([127, 0, 0, 1], port).into(), "/info");
    let _ = child.kill();
    let _ = child.wait();
    assert!(answers, "nobody answers at port {port}");
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let unit = read("docs/deploy/tidemill.service");
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command");
    // Every flag is one of the server's.
    let help = Command::new(tidemill_binary()).args(["server", "--help"]).stdin(Stdio::null()).output().expect("help");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for flag in command.split_whitespace().filter(|word| word.starts_with("--")) {
        assert!(help.contains(&format!("{flag} <")), "{flag}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("tidemill.service");
    let binary = tidemill_binary().display().to_string();
    std::fs::write(&copy, unit.replace("/usr/local/bin/tidemill", &binary)).expect("written");
    // Where there is no systemd, nobody can say what it takes.
    if let Ok(output) = Command::new("systemd-analyze").arg("verify").arg(&copy).stdin(Stdio::null()).output() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let of_the_unit: Vec<&str> = said.lines().filter(|line| line.contains("tidemill.service")).collect();
        assert!(output.status.success() && of_the_unit.is_empty(), "{said}");
    }
}

/// The variables of a service of the compose file.
fn variables_of(service: &str) -> Vec<(String, String)> {
    let text = read("docs/deploy/compose.yaml");
    let own = text.lines().skip_while(|line| *line != format!("  {service}:")).skip(1);
    let own = own.take_while(|line| line.is_empty() || line.starts_with("    "));
    let variables = own.skip_while(|line| *line != "    environment:").skip(1).take_while(|line| line.starts_with("      "));
    variables
        .map(|line| line.trim().split_once(": ").unwrap_or_else(|| panic!("{line}")))
        .map(|(a, b)| (a.to_owned(), b.trim_matches('"').to_owned()))
        .collect()
}

/// Servers in containers, as far as that can be said without Docker: what they are told is what a server understands.
#[test]
fn the_servers_of_the_compose_file_are_told_what_they_understand() {
    let variables = variables_of("tidemill");
    let value = |name: &str| variables.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str()).unwrap_or_default();
    assert_eq!(value("TIDEMILL_CLUSTER_ENABLED"), "true");
    let advertised = variables_of("kafka").into_iter().find(|(name, _)| name == "KAFKA_ADVERTISED_LISTENERS").expect("where Kafka is").1;
    assert_eq!(advertised, format!("PLAINTEXT://{}", value("KSQL_BOOTSTRAP_SERVERS")));
    // Without a Kafka they do not share anything: the one thing that is wrong is named, and nothing else.
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let told = variables.iter().filter(|(name, _)| name != "KSQL_BOOTSTRAP_SERVERS");
    let told = told.map(|(name, value)| (name.clone(), value.replace("8088", &port.to_string())));
    let output = Command::new(tidemill_binary())
        .args(["server", "--data-dir", folder.path().to_str().expect("a path")])
        .envs(told)
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success() && said.contains("tidemill.cluster.enabled") && said.contains("embedded log"), "{said}");
    assert!(!said.contains("no property is called"), "{said}");
}
