//! `docs/command-line.md`: its lists of flags are written from the parser's own, so that they can't go stale.

use clap::{Arg, Command, CommandFactory};

/// Where in the page the lists stand.
const BEGIN: &str = "<!-- From here on written by `cargo test -p tidemill-cli manual` with TIDEMILL_WRITE_MANUAL=1 -->";

/// What every command has, and nobody looks up. A command may well have a `--version` of its own.
fn is_everywhere(arg: &Arg) -> bool {
    use clap::ArgAction::{Help, HelpLong, HelpShort, Version};
    matches!(arg.get_action(), Help | HelpShort | HelpLong | Version)
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ").replace('<', "&lt;")
}

/// `-q`, `--query SQL`, `[URL]`, as it is typed.
fn spelled(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let takes_values = arg.is_positional() || arg.get_action().takes_values();
    let mut values: Vec<String> = if takes_values { names.iter().map(ToString::to_string).collect() } else { Vec::new() };
    let is_repeated =
        arg.get_num_args().is_some_and(|number| number.max_values() > 1) || matches!(arg.get_action(), clap::ArgAction::Append);
    if is_repeated && let Some(last) = values.last_mut() {
        last.push_str(" …");
    }
    if arg.is_positional() {
        return if arg.is_required_set() { values.join(" ") } else { format!("[{}]", values.join(" ")) };
    }
    let mut spellings: Vec<String> = arg.get_short().map(|short| format!("-{short}")).into_iter().collect();
    spellings.extend(arg.get_long().map(|long| format!("--{long}")));
    spellings.extend(arg.get_visible_aliases().unwrap_or_default().iter().map(|alias| format!("--{alias}")));
    if let Some(last) = spellings.last_mut() {
        values.iter().for_each(|value| *last += &format!(" {value}"));
    }
    spellings.iter().map(|spelling| format!("`{spelling}`")).collect::<Vec<_>>().join(", ").trim_matches('`').to_owned()
}

fn explained(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let defaults: Vec<String> = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let is_flag = !arg.get_action().takes_values();
    if !is_flag && !defaults.is_empty() && !text.contains("default") {
        text += &format!(" (default {})", defaults.join(" "));
    }
    let words: Vec<String> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if !is_flag && !words.is_empty() && words != ["true", "false"] {
        text += &format!(" ({})", words.join(", "));
    }
    if let Some(variable) = arg.get_env() {
        text += &format!(" ({})", variable.to_string_lossy());
    }
    text
}

fn written(name: &str, command: &Command, out: &mut String) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    out.push_str(&format!("\n\n## {name}\n\n{about}.\n"));
    let shown: Vec<&Arg> = command.get_arguments().filter(|arg| !arg.is_hide_set() && !is_everywhere(arg)).collect();
    if !shown.is_empty() {
        out.push_str("\n| | |\n|---|---|");
        for arg in shown {
            out.push_str(&format!("\n| `{}` | {} |", spelled(arg).replace('|', "\\|"), cell(&explained(arg))));
        }
        out.push('\n');
    }
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
        written(&format!("{name} {}", inner.get_name()), inner, out);
    }
}

fn lists() -> String {
    let mut root = super::Cli::command();
    root.build();
    let mut out = String::new();
    for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
        written(&format!("tidemill {}", command.get_name()), command, &mut out);
    }
    out
}

#[test]
fn the_manual_lists_every_flag_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/command-line.md");
    let page = std::fs::read_to_string(path).expect("docs/command-line.md");
    let (prose, listed) = page.split_once(BEGIN).expect("the mark in docs/command-line.md");
    for command in super::Cli::command().get_subcommands().filter(|command| command.get_name() != "help") {
        let name = command.get_name();
        assert!(prose.contains(&format!("`tidemill {name}")), "{name} is missing in the table of commands");
    }
    if std::env::var_os("TIDEMILL_WRITE_MANUAL").is_some() {
        std::fs::write(path, format!("{prose}{BEGIN}{}", lists())).expect("docs/command-line.md");
        return;
    }
    let (listed, lists): (Vec<&str>, String) = (listed.trim().lines().collect(), lists());
    let lists: Vec<&str> = lists.trim().lines().collect();
    for (at, (found, expected)) in listed.iter().zip(&lists).enumerate() {
        assert_eq!(found, expected, "line {at} of the lists: run this test with TIDEMILL_WRITE_MANUAL=1");
    }
    assert_eq!(listed.len(), lists.len(), "run this test with TIDEMILL_WRITE_MANUAL=1");
}

/// What `--help` tells of a command stands in its part of the manual: every name by which it takes something.
#[test]
fn the_manual_knows_every_name_that_help_tells() {
    fn look(name: &str, command: &mut Command, parts: &str) {
        let part = parts.split("\n## ").find(|part| part.lines().next() == Some(name)).unwrap_or_else(|| panic!("{name} has no part"));
        let help = command.render_long_help().to_string();
        let own = |line: &&str| line.trim_start().starts_with('-') && !line.trim_start().starts_with("-V, --version");
        for word in help.lines().filter(own).flat_map(|line| line.split([' ', ',', '='])) {
            let is_name = word.strip_prefix("--").or(word.strip_prefix('-')).is_some_and(|rest| rest.starts_with(char::is_alphabetic));
            if is_name && !matches!(word, "-h" | "--help") {
                assert!(part.contains(&format!("`{word}")), "{name}: {word} is in its --help, and not in the manual");
            }
        }
        for inner in command.get_subcommands_mut().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
            look(&format!("{name} {}", inner.get_name()), inner, parts);
        }
    }
    let mut root = super::Cli::command();
    root.build();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/command-line.md")).expect("docs/command-line.md");
    let (_, parts) = page.split_once(BEGIN).expect("the mark");
    for command in root.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        look(&format!("tidemill {}", command.get_name()), command, parts);
    }
}
