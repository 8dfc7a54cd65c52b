//! Tests against a real Apache Kafka. Each says `SKIPPED: …` on stderr where java or mvn is missing.

mod away;
mod changelog;
mod configuration;
mod connect;
mod drive;
mod end;
mod endpoints;
mod exactly_once;
mod formats;
mod grown;
mod harness;
mod heals;
mod identity;
mod kill;
mod kill_joins;
mod letters;
mod locks;
mod log;
mod lost;
mod outage;
mod refused;
mod registry;
mod second;
mod sharing;
mod statements;
mod support;
