//! The whole, from outside: the binary as users start it.

mod demo;
mod examples;
mod kill;
mod layers;
mod scripts;
