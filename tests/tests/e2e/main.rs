//! The whole, from outside: the binary as users start it.

mod abuse;
mod clients;
mod configuration;
mod connect;
mod demo;
mod examples;
mod h2;
mod kill;
mod kill_joins;
mod layers;
mod noted;
mod processing_log;
mod pull_joins;
mod queries_file;
mod registry;
mod registry_tls;
mod rest;
mod scripts;
mod sql_tests;
mod starts;
mod times;
mod tombstones;
mod unheard;
