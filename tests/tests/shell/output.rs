//! The forms of results.

use crate::support::{Said, World};

/// A stream with what is hard to show: NULL, the text null, an empty text, control characters, wide ones.
fn world() -> World {
    let world = World::new();
    let sql = "CREATE STREAM s (id INT KEY, v STRING) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
        INSERT INTO s (id, v) VALUES (1, NULL);
        INSERT INTO s (id, v) VALUES (2, 'null');
        INSERT INTO s (id, v) VALUES (3, '');
        INSERT INTO s (id, v) VALUES (4, 'a\u{1b}[31m,\"b\"\tc\nd');
        INSERT INTO s (id, v) VALUES (5, '漢字');";
    assert_eq!(world.execute(sql).code, Some(0));
    world
}

fn select(world: &World, output: &str) -> Said {
    world.piped(&["--output", output, "-e", "SELECT id, v FROM s;"], "")
}

#[test]
fn each_form_tells_null_and_escapes_what_it_must() {
    let world = world();
    let csv = "ID,V\n1,\n2,null\n3,\"\"\n4,\"a\u{1b}[31m,\"\"b\"\"\tc\nd\"\n5,漢字\n";
    assert_eq!(select(&world, "csv").out, csv);
    let tsv = "ID\tV\n1\t\\N\n2\tnull\n3\t\n4\ta\u{1b}[31m,\"b\"\\tc\\nd\n5\t漢字\n";
    assert_eq!(select(&world, "tsv").out, tsv);
    let said = select(&world, "TABULAR");
    let squeezed: Vec<String> = said.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let rows = ["| 1 | null |", "| 2 | 'null' |", "| 3 | |", "| 4 | a\\u{1b}[31m,\"b\"\\tc\\nd |", "| 5 | 漢字 |", "5 rows"];
    assert_eq!(squeezed.get(2..), Some(rows.map(str::to_owned).as_slice()), "{said:?}");
    let vertical = select(&world, "vertical").out;
    assert!(vertical.contains("-[ 5 ]") && vertical.contains("ID | 5\nV  | 漢字\n") && vertical.contains("V  | null\n"), "{vertical}");
    let json: Vec<String> = select(&world, "json").out.lines().map(str::to_owned).collect();
    assert!(json.len() == 6 && json[0].starts_with("{\"queryId\"") && json[1] == "[1,null]", "{json:?}");
}

#[test]
fn results_for_programs_hold_nothing_else() {
    let world = world();
    let sql = "SET 'auto.offset.reset'='earliest'; DEFINE a='b'; SELECT id FROM s EMIT CHANGES LIMIT 2;";
    let said = world.piped(&["--output", "csv", "-e", sql], "");
    assert_eq!((said.code, said.out.as_str()), (Some(0), "ID\n1\n2\n"), "{said:?}");
    assert!(said.err.contains("its LIMIT is reached") && said.err.contains("is now 'earliest'"), "{said:?}");
    let said = world.piped(&["--output", "tsv", "-e", "SHOW TOPICS;"], "");
    assert!(said.out.starts_with("Topic\tPartitions\tReplicas\n") && said.out.contains("s\t1\t1\n"), "{said:?}");
}

#[test]
fn a_terminal_gets_what_it_can_show() {
    let world = world();
    // A terminal that knows no width has 80 columns.
    let mut terminal = world.terminal(&[], 0, 0);
    terminal.send("SELECT id, v FROM s WHERE id = 5;\r");
    let shown = terminal.wait_for("1 row");
    let width = shown.lines().filter(|line| line.starts_with(['┌', '│', '└'])).map(|line| line.chars().count()).max();
    assert!(width.is_some_and(|width| width > 8 && width <= 80), "{shown}");
    // Wide characters keep the columns of rows that come one by one.
    terminal.send("SET 'auto.offset.reset'='earliest';\r");
    terminal.wait_for("is now");
    terminal.send("SELECT id, v FROM s EMIT CHANGES LIMIT 5;\r");
    let shown = terminal.wait_for("its LIMIT");
    let wide = shown.lines().find(|line| line.contains("漢字")).expect("the row");
    let plain = shown.lines().find(|line| line.contains("'null'")).expect("the row");
    assert_eq!(wide.chars().count() + 2, plain.chars().count(), "{shown}");
    assert!(plain.chars().count() <= 80, "{shown}");
}

#[test]
fn rows_that_do_not_fit_stand_upright() {
    let world = World::new();
    let columns: Vec<String> = (0..12).map(|n| format!("column_{n:02} INT")).collect();
    let create =
        format!("CREATE STREAM wide (id INT KEY, {}) WITH (KAFKA_TOPIC='wide', PARTITIONS=1, VALUE_FORMAT='JSON');", columns.join(", "));
    assert_eq!(world.execute(&format!("{create} INSERT INTO wide (id, column_11) VALUES (1, 77);")).code, Some(0));
    let mut terminal = world.terminal(&[], 60, 50);
    terminal.send("SELECT * FROM wide;\r");
    assert!(terminal.wait_for("1 row").contains("COLUMN_11 | 77"));
    terminal.send("SET CLI VERTICAL OFF\r");
    terminal.wait_for("shown as tables");
    terminal.send("SELECT * FROM wide;\r");
    assert!(!terminal.wait_for("1 row").contains("| 77\n"));
    terminal.send("\\x\r");
    terminal.wait_for("upright");
    terminal.send("SELECT id FROM wide;\r");
    assert!(terminal.wait_for("1 row").contains("ID | 1"));
    terminal.send("\\x\r");
    terminal.wait_for("as tables");
    terminal.send("SET CLI WRAP OFF;\r");
    terminal.wait_for("are cut");
    terminal.send("SET CLI COLUMN-WIDTH 5\r");
    terminal.wait_for("5 wide");
    terminal.send("SELECT 'abcdefgh' AS v FROM wide;\r");
    let shown = terminal.wait_for("1 row");
    assert!(shown.contains("abcd…") && !shown.contains("efgh │"), "{shown}");
}

#[test]
fn long_results_go_to_the_pager() {
    let world = World::new();
    let mut command = world.shell(&[]);
    command.env("TIDEMILL_PAGER", "sed s/^/paged:/");
    let mut terminal = tidemill_tests::terminal::Terminal::start(command, 80, 20);
    terminal.wait_for("tidemill> ");
    terminal.send("SHOW FUNCTIONS;\r");
    terminal.wait_for("paged:");
    let shown = terminal.wait_for("tidemill> ");
    assert!(shown.contains("paged:│ ABS"), "{shown}");
    terminal.send("SHOW STREAMS;\r");
    let shown = terminal.wait_for("Windowed");
    assert!(!shown.contains("paged:"), "what fits is not paged: {shown}");
}
