//! A connection that is in: its messages one after the other, and what it keeps between them.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::Notify;

use super::catalog::SystemCatalog;
use super::error::{PgError, Severity};
use super::extended::{Portal, Prepared};
use super::message::{Frame, MAX_MESSAGE_BYTES, Message};
use super::output::Transaction;
use super::rows::Rows;
use super::settings::Settings as PgSettings;
use super::wire::{Gone, Wire};
use crate::access::Principal;
use crate::app::App;
use crate::net::{Leave, Place};
use crate::request::Settings;

/// Why a session is over.
#[derive(Debug)]
pub enum End {
    /// The client said so.
    Left,
    /// It was told why.
    Said,
    Gone(Gone),
    Leave(Leave),
    /// It may not any more what it might when it began.
    Ousted(String),
}

/// Why a statement does not go on.
pub enum Stop {
    /// The client is told, and goes on.
    Error(PgError),
    /// The connection ends.
    End(End),
}

impl From<PgError> for Stop {
    fn from(error: PgError) -> Self {
        Stop::Error(error)
    }
}

impl From<Gone> for Stop {
    fn from(gone: Gone) -> Self {
        Stop::End(End::Gone(gone))
    }
}

/// A cursor that was declared.
pub struct Cursor {
    pub rows: Rows,
    /// Whether it ends with its transaction.
    pub in_transaction: bool,
}

/// See the module.
pub struct Session {
    pub app: Arc<App>,
    pub catalog: Arc<SystemCatalog>,
    pub peer: SocketAddr,
    pub principal: Principal,
    pub wire: Wire,
    /// Rings where the client cancels what is under way.
    pub cancelled: Arc<Notify>,
    pub place: Place,
    pub settings: PgSettings,
    /// Properties and variables of the dialect.
    pub properties: Settings,
    pub variables: Settings,
    pub transaction: Transaction,
    /// Whether something was changed since it began.
    pub changed: bool,
    /// Whether it was said what a transaction is here.
    pub said_transaction: bool,
    pub prepared: HashMap<String, Arc<Prepared>>,
    pub portals: HashMap<String, Portal>,
    pub cursors: HashMap<String, Cursor>,
    /// After an error, messages are passed over until the client asks whether all is done.
    skips: bool,
}

impl Session {
    #[expect(clippy::too_many_arguments, reason = "what a connection has brought with it")]
    pub fn new(
        app: Arc<App>,
        catalog: Arc<SystemCatalog>,
        peer: SocketAddr,
        principal: Principal,
        mut wire: Wire,
        cancelled: Arc<Notify>,
        place: Place,
        parameters: BTreeMap<String, String>,
    ) -> Self {
        let mut settings = PgSettings::default();
        for (name, value) in &parameters {
            // What is no setting, or none that can be had, is not worth a connection.
            if !matches!(name.as_str(), "user" | "database" | "options") {
                let _ = settings.set(name, Some(value));
            }
        }
        for (name, value) in settings.reported() {
            wire.out.parameter_status(name, &value);
        }
        wire.out.parameter_status("is_superuser", "off");
        wire.out.parameter_status("session_authorization", parameters.get("user").map_or("", String::as_str));
        wire.out.ready(Transaction::None);
        Session {
            app,
            catalog,
            peer,
            principal,
            wire,
            cancelled,
            place,
            settings,
            properties: Settings::new(),
            variables: Settings::new(),
            transaction: Transaction::None,
            changed: false,
            said_transaction: false,
            prepared: HashMap::new(),
            portals: HashMap::new(),
            cursors: HashMap::new(),
            skips: false,
        }
    }

    /// Until the connection is over.
    pub async fn run(&mut self) -> End {
        loop {
            match self.next().await {
                Ok(()) => {}
                Err(end) => return end,
            }
        }
    }

    async fn next(&mut self) -> Result<(), End> {
        // What has come already is carried out before anything is sent, so that many small answers are one packet.
        let frame = match Frame::take(&mut self.wire.input, MAX_MESSAGE_BYTES) {
            Ok(Some(frame)) => frame,
            Ok(None) => {
                self.wire.flush().await.map_err(End::Gone)?;
                let Session { wire, place, .. } = self;
                tokio::select! {
                    frame = wire.frame(MAX_MESSAGE_BYTES) => match frame {
                        Ok(frame) => frame,
                        Err(Gone::Left) => return Err(End::Left),
                        Err(gone) => return Err(End::Gone(gone)),
                    },
                    leave = place.has_to_leave() => return Err(End::Leave(leave)),
                }
            }
            Err(malformed) => return Err(End::Gone(malformed.into())),
        };
        let message = Message::read(frame).map_err(|malformed| End::Gone(malformed.into()))?;
        let _busy = self.place.busy();
        let is_simple = matches!(message, Message::Query(_));
        let done = match message {
            Message::Terminate => return Err(End::Left),
            Message::Sync => {
                self.skips = false;
                if self.transaction == Transaction::None {
                    self.portals.clear();
                }
                self.wire.out.ready(self.transaction);
                self.wire.flush().await.map_err(End::Gone)?;
                Ok(())
            }
            // Data of a COPY that was refused.
            Message::Copy => Ok(()),
            _ if self.skips && !is_simple => Ok(()),
            Message::Query(text) => self.simple(&text).await,
            Message::Flush => self.wire.flush().await.map_err(Stop::from),
            Message::Parse { name, text, types } => self.parse(name, &text, types),
            Message::Bind(bind) => self.bind(bind),
            Message::Describe(target) => self.describe(target).await,
            Message::Execute { portal, max_rows } => self.execute(portal, max_rows).await,
            Message::Close(target) => {
                self.close(target);
                Ok(())
            }
        };
        match done {
            Ok(()) => {}
            Err(Stop::End(end)) => return Err(end),
            Err(Stop::Error(error)) => {
                self.wire.out.error(&error);
                if error.severity == Severity::Fatal {
                    return Err(End::Said);
                }
                self.skips = !is_simple;
            }
        }
        if is_simple {
            self.wire.out.ready(self.transaction);
            self.wire.flush().await.map_err(End::Gone)?;
        }
        Ok(())
    }
}
