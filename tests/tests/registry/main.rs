//! The server's own schema registry, from outside: beside a registry that is not ours, and asked by Confluent's client.

mod beside;
mod python;
mod starts;
