//! The whole, from outside: the binary as users start it.

mod demo;
mod kill;
mod layers;
mod scripts;
