//! The shell as people and scripts use it: at a terminal, through pipes, by its flags.

mod flags;
mod output;
mod pipes;
mod places;
mod prompt;
mod queries;
mod secrets;
mod support;
mod tab;
mod variables;
