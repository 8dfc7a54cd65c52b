//! The example's tables as a batch query gives them, straight from the files.

use std::collections::BTreeMap;
use std::path::Path;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use datafusion::prelude::{CsvReadOptions, SessionContext};

/// Statistics of one carrier in one hour; the columns of `delays_per_hour`.
#[derive(Debug, Clone, PartialEq)]
pub struct Delays {
    pub airline: String,
    pub flights: i64,
    pub departed: i64,
    pub late: i64,
    /// 0 where no flight departed, as in ksqlDB (SQL says null): see the example's README.
    pub delay_minutes: i64,
    pub mean_delay: f64,
    /// Null where no flight departed.
    pub least_delay: Option<i64>,
    pub worst_delay: Option<i64>,
    pub arrived: i64,
    pub worst_arrival: Option<i64>,
}

/// Carrier and start of the hour, milliseconds since the epoch.
pub type HourKey = (String, i64);
/// Airport and start of the day; flights and how many of them were cancelled.
pub type Days = BTreeMap<(String, i64), (i64, i64)>;

/// The departure is the schedule's minute and the delay; without a delay (cancelled) the schedule's minute.
const DEPARTURES: &str = "CREATE VIEW departures AS
    SELECT f.carrier, a.name, f.origin, f.dep_delay, f.arr_delay,
        (CAST(to_unixtime(f.time_hour) AS BIGINT) + f.minute * 60 + coalesce(f.dep_delay, 0) * 60) * 1000 AS departure
    FROM (SELECT carrier, origin, time_hour, minute,
            CAST(nullif(dep_delay, 'NA') AS BIGINT) AS dep_delay, CAST(nullif(arr_delay, 'NA') AS BIGINT) AS arr_delay
        FROM flights) f
    JOIN airlines a ON f.carrier = a.carrier";

const DELAYS: &str = "SELECT carrier, departure - departure % 3600000 AS hour, max(name) AS airline,
        count(*) AS flights, count(dep_delay) AS departed, sum(CASE WHEN dep_delay > 15 THEN 1 ELSE 0 END) AS late,
        coalesce(sum(dep_delay), 0) AS delay_minutes, coalesce(avg(dep_delay), 0) AS mean_delay, min(dep_delay) AS least_delay, max(dep_delay) AS worst_delay,
        count(arr_delay) AS arrived, max(arr_delay) AS worst_arrival
    FROM departures GROUP BY 1, 2";

const DAYS: &str = "SELECT origin, departure - departure % 86400000 AS day, count(*) AS flights, count(*) - count(dep_delay) AS cancelled
    FROM departures GROUP BY 1, 2";

/// Both tables.
pub fn compute(folder: &Path) -> (BTreeMap<HourKey, Delays>, Days) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let context = SessionContext::new();
        for table in ["flights", "airlines"] {
            let file = folder.join(format!("{table}.csv"));
            context.register_csv(table, file.to_str().expect("a path"), CsvReadOptions::new()).await.expect("a CSV file");
        }
        context.sql(DEPARTURES).await.expect("a view");
        (delays(&context).await, days(&context).await)
    })
}

async fn delays(context: &SessionContext) -> BTreeMap<HourKey, Delays> {
    let mut found = BTreeMap::new();
    for batch in context.sql(DELAYS).await.expect("a plan").collect().await.expect("a result") {
        let text = |name: &str| batch[name].clone();
        let number = |name: &str, row: usize| integer(&batch[name], row);
        for row in 0..batch.num_rows() {
            let mean = batch["mean_delay"].as_primitive::<Float64Type>();
            let delays = Delays {
                airline: string(&text("airline"), row),
                flights: number("flights", row).expect("a count"),
                departed: number("departed", row).expect("a count"),
                late: number("late", row).expect("a sum"),
                delay_minutes: number("delay_minutes", row).expect("a sum"),
                mean_delay: mean.value(row),
                least_delay: number("least_delay", row),
                worst_delay: number("worst_delay", row),
                arrived: number("arrived", row).expect("a count"),
                worst_arrival: number("worst_arrival", row),
            };
            found.insert((string(&text("carrier"), row), number("hour", row).expect("an hour")), delays);
        }
    }
    found
}

async fn days(context: &SessionContext) -> Days {
    let mut found = Days::new();
    for batch in context.sql(DAYS).await.expect("a plan").collect().await.expect("a result") {
        for row in 0..batch.num_rows() {
            let number = |name: &str| integer(&batch[name], row).expect("a number");
            found.insert((string(&batch["origin"], row), number("day")), (number("flights"), number("cancelled")));
        }
    }
    found
}

fn integer(column: &dyn Array, row: usize) -> Option<i64> {
    let column = column.as_primitive::<Int64Type>();
    column.is_valid(row).then(|| column.value(row))
}

/// Text, whichever of Arrow's layouts DataFusion chose.
fn string(column: &dyn Array, row: usize) -> String {
    match column.as_string_view_opt() {
        Some(column) => column.value(row).to_owned(),
        None => column.as_string::<i32>().value(row).to_owned(),
    }
}
