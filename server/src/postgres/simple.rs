//! The simple protocol: a text of statements, one after the other, all values as texts.

use futures::FutureExt;

use super::kind::kind;
use super::names::pieces;
use super::sending::Written;
use super::session::{Session, Stop};
use super::statement::Outcome;

impl Session {
    /// # Errors
    /// A statement is wrong: those behind it are not carried out.
    pub async fn simple(&mut self, text: &str) -> Result<(), Stop> {
        self.forget_cancelling();
        self.portals.remove("");
        let pieces = pieces(text)?;
        if pieces.is_empty() {
            self.wire.out.empty_query();
        }
        for piece in &pieces {
            let kind = kind(piece, &self.app.engine.catalog())?;
            match self.start(piece, &kind, None, &[]).await? {
                Outcome::Done(tag) => self.wire.out.complete(&tag),
                Outcome::Rows(mut rows) => {
                    self.wire.out.columns(&rows.columns, &[]);
                    let (count, _) = self.send(&mut rows, None, &Written::Rows(&[])).await?;
                    let tag = if rows.tag == "SELECT" { format!("SELECT {count}") } else { rows.tag.to_owned() };
                    self.wire.out.complete(&tag);
                }
                Outcome::Copy(rows, format) => {
                    let tag = self.send_copy(rows, &format).await?;
                    self.wire.out.complete(&tag);
                }
                Outcome::CopyIn(incoming) => {
                    let tag = self.receive_copy(*incoming).await?;
                    self.wire.out.complete(&tag);
                }
                Outcome::Fetch(name, count) => {
                    let columns = self.cursor_columns(&name)?;
                    self.wire.out.columns(&columns, &[]);
                    let tag = self.fetch(&name, count, &[]).await?;
                    self.wire.out.complete(&tag);
                }
            }
        }
        Ok(())
    }

    /// Sends rows as lines. The words that complete that.
    pub async fn send_copy(&mut self, mut rows: super::rows::Rows, format: &super::copy::CopyFormat) -> Result<String, Stop> {
        self.wire.out.copy_out(rows.columns.len());
        if format.header != super::copy::Header::None {
            let line = format.header_line(&rows.columns);
            self.wire.out.copy_data(&line);
        }
        let (count, _) = self.send(&mut rows, None, &Written::Copy(format)).await?;
        self.wire.out.copy_done();
        Ok(format!("COPY {count}"))
    }

    /// What was cancelled before is over.
    pub fn forget_cancelling(&self) {
        let _ = self.cancelled.notified().now_or_never();
    }
}
