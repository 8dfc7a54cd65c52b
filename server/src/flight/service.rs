//! The protocol's calls, one after the other.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::*;
use arrow_flight::{Action, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest, HandshakeResponse, Ticket};
use bytes::Bytes;
use futures::{Stream, TryStreamExt, stream};
use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

use super::admission::Admission;
use super::handle::Handle;
use super::incoming::Batches;
use super::sending::{Data, whole};
use super::statement::{self, Asked, Bound};
use super::{Who, catalog, ingest};
use crate::app::App;

/// See the module.
#[derive(Clone)]
pub struct FlightSql {
    app: Arc<App>,
    admission: Arc<Admission>,
}

type Info = Result<Response<FlightInfo>, Status>;
type Got = Result<Response<Data>, Status>;

impl FlightSql {
    pub fn new(app: Arc<App>, admission: Arc<Admission>) -> Self {
        FlightSql { app, admission }
    }

    /// What a statement gives, without carrying it out: its columns where it is a query.
    async fn schema(&self, text: &str, bound: &Bound) -> Result<Option<Schema>, Status> {
        match statement::understand(&self.app, text).await? {
            Asked::Query { text, .. } => Ok(Some(statement::describe(&self.app, &text, bound).await?.schema.as_ref().clone())),
            Asked::Statement { .. } => Ok(None),
        }
    }

    /// Carries a statement out.
    async fn get(&self, handle: &Handle, who: &Who) -> Got {
        let bound = statement::bound_to(handle).await?;
        let data = match statement::understand(&self.app, &handle.text).await? {
            Asked::Query { text, .. } => statement::ask(&self.app, text, &bound, who).await?,
            Asked::Statement { text, parameters } => {
                let entities = statement::run(&self.app, &text, parameters, &bound, who).await?;
                whole(statement::listed(&self.app, &entities)?)
            }
        };
        Ok(Response::new(data))
    }

    /// Carries out a statement that gives no rows. How many it changed.
    async fn update(&self, text: &str, bound: &Bound, who: &Who) -> Result<i64, Status> {
        match statement::understand(&self.app, text).await? {
            Asked::Query { .. } => {
                Err(Status::invalid_argument("a query gives rows: ask for them instead of carrying it out as an update"))
            }
            Asked::Statement { text, parameters } => {
                statement::run(&self.app, &text, parameters, bound, who).await?;
                Ok(statement::inserted(&text, bound))
            }
        }
    }
}

/// Who makes a call.
fn who<T>(request: &Request<T>) -> Result<Who, Status> {
    request.extensions().get::<Who>().cloned().ok_or_else(|| Status::internal("nobody knows who makes this call"))
}

/// How a command's answer is fetched: by the command itself.
fn info(ticket: Any, schema: Option<&Schema>, descriptor: FlightDescriptor) -> Info {
    let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(ticket.encode_to_vec()));
    let info = FlightInfo::new().with_endpoint(endpoint).with_descriptor(descriptor);
    let info = match schema {
        Some(schema) => info.try_with_schema(schema).map_err(|wrong| Status::internal(wrong.to_string()))?,
        None => info,
    };
    Ok(Response::new(info))
}

/// A schema's bytes, as the protocol has them.
fn schema_bytes(schema: &Schema) -> Result<Bytes, Status> {
    let info = FlightInfo::new().try_with_schema(schema).map_err(|wrong| Status::internal(wrong.to_string()))?;
    Ok(info.schema)
}

fn listed(batch: arrow_flight::error::Result<RecordBatch>) -> Got {
    Ok(Response::new(whole(batch.map_err(Status::from)?)))
}

fn described(command: impl ProstMessageExt, batch: arrow_flight::error::Result<RecordBatch>, request: Request<FlightDescriptor>) -> Info {
    info(command.as_any(), Some(&batch.map_err(Status::from)?.schema()), request.into_inner())
}

/// The messages of a batch of bound values, to be kept in a handle.
async fn kept(batches: Vec<RecordBatch>) -> Result<Vec<FlightData>, Status> {
    let encoder = FlightDataEncoderBuilder::new().build(stream::iter(batches.into_iter().map(Ok)));
    encoder.try_collect().await.map_err(Status::from)
}

fn no_transactions() -> Status {
    Status::unimplemented("there are no transactions here: each statement takes effect by itself, at once")
}

fn no_substrait() -> Status {
    Status::unimplemented("plans of Substrait are not carried out; send SQL")
}

fn no_foreign_keys() -> Status {
    Status::unimplemented("there are no foreign keys here")
}

type Handshaken = Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>;

#[tonic::async_trait]
impl FlightSqlService for FlightSql {
    type FlightService = FlightSql;

    async fn do_handshake(&self, request: Request<Streaming<HandshakeRequest>>) -> Result<Response<Handshaken>, Status> {
        let token = self.admission.token(request.metadata().as_ref());
        let value = MetadataValue::try_from(&token).map_err(|_| Status::internal("a token that is no header"))?;
        let answer = HandshakeResponse { protocol_version: 0, payload: token.into_bytes().into() };
        let mut response = Response::new(Box::pin(stream::iter([Ok(answer)])) as Handshaken);
        response.metadata_mut().insert("authorization", value);
        Ok(response)
    }

    async fn get_flight_info_statement(&self, command: CommandStatementQuery, request: Request<FlightDescriptor>) -> Info {
        if command.transaction_id.is_some() {
            return Err(no_transactions());
        }
        let schema = self.schema(&command.query, &Bound::default()).await?;
        let ticket = TicketStatementQuery { statement_handle: Handle::new(command.query).bytes() };
        info(ticket.as_any(), schema.as_ref(), request.into_inner())
    }

    async fn do_get_statement(&self, ticket: TicketStatementQuery, request: Request<Ticket>) -> Got {
        self.get(&Handle::read(ticket.statement_handle)?, &who(&request)?).await
    }

    async fn do_put_statement_update(
        &self,
        command: CommandStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        if command.transaction_id.is_some() {
            return Err(no_transactions());
        }
        self.update(&command.query, &Bound::default(), &who(&request)?).await
    }

    async fn do_action_create_prepared_statement(
        &self,
        command: ActionCreatePreparedStatementRequest,
        _: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        if command.transaction_id.is_some() {
            return Err(no_transactions());
        }
        let (columns, types, count) = match statement::understand(&self.app, &command.query).await? {
            Asked::Query { text, parameters } => {
                let described = statement::describe(&self.app, &text, &Bound::default()).await?;
                (Some(described.schema), described.parameters, parameters)
            }
            Asked::Statement { parameters, .. } => (None, Vec::new(), parameters),
        };
        let parameter_schema = match count {
            0 => Bytes::new(),
            count => schema_bytes(&statement::parameter_schema(&types, count))?,
        };
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: Handle::new(command.query).bytes(),
            dataset_schema: columns.map(|schema| schema_bytes(&schema)).transpose()?.unwrap_or_default(),
            parameter_schema,
        })
    }

    async fn do_action_close_prepared_statement(&self, _: ActionClosePreparedStatementRequest, _: Request<Action>) -> Result<(), Status> {
        // There is nothing to close: all was in the handle.
        Ok(())
    }

    async fn get_flight_info_prepared_statement(&self, command: CommandPreparedStatementQuery, request: Request<FlightDescriptor>) -> Info {
        let handle = Handle::read(command.prepared_statement_handle.clone())?;
        let schema = self.schema(&handle.text, &statement::bound_to(&handle).await?).await?;
        info(command.as_any(), schema.as_ref(), request.into_inner())
    }

    async fn do_get_prepared_statement(&self, command: CommandPreparedStatementQuery, request: Request<Ticket>) -> Got {
        self.get(&Handle::read(command.prepared_statement_handle)?, &who(&request)?).await
    }

    async fn do_put_prepared_statement_query(
        &self,
        command: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let mut handle = Handle::read(command.prepared_statement_handle)?;
        let mut batches = Batches::new(request.into_inner());
        let mut bound = Vec::new();
        while let Some(batch) = batches.next().await {
            bound.push(batch?);
            if bound.len() > 1 {
                return Err(Status::invalid_argument("parameters are bound by one batch"));
            }
        }
        handle.bound = kept(bound).await?;
        // Whether they can be taken is said now.
        statement::bound_to(&handle).await?;
        Ok(DoPutPreparedStatementResult { prepared_statement_handle: Some(handle.bytes()) })
    }

    async fn do_put_prepared_statement_update(
        &self,
        command: CommandPreparedStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        let (handle, who) = (Handle::read(command.prepared_statement_handle)?, who(&request)?);
        let bound = statement::bound(Batches::new(request.into_inner())).await?;
        self.update(&handle.text, &bound, &who).await
    }

    async fn do_put_statement_ingest(
        &self,
        command: CommandStatementIngest,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        let who = who(&request)?;
        ingest::ingest(&self.app, &command, Batches::new(request.into_inner()), &who).await
    }

    async fn get_flight_info_catalogs(&self, command: CommandGetCatalogs, request: Request<FlightDescriptor>) -> Info {
        described(command, catalog::catalogs(command), request)
    }

    async fn do_get_catalogs(&self, command: CommandGetCatalogs, _: Request<Ticket>) -> Got {
        listed(catalog::catalogs(command))
    }

    async fn get_flight_info_schemas(&self, command: CommandGetDbSchemas, request: Request<FlightDescriptor>) -> Info {
        described(command.clone(), catalog::schemas(command), request)
    }

    async fn do_get_schemas(&self, command: CommandGetDbSchemas, _: Request<Ticket>) -> Got {
        listed(catalog::schemas(command))
    }

    async fn get_flight_info_tables(&self, command: CommandGetTables, request: Request<FlightDescriptor>) -> Info {
        let schema = command.clone().into_builder().schema();
        info(command.as_any(), Some(&schema), request.into_inner())
    }

    async fn do_get_tables(&self, command: CommandGetTables, _: Request<Ticket>) -> Got {
        listed(catalog::tables(command, &self.app.engine.catalog()))
    }

    async fn get_flight_info_table_types(&self, command: CommandGetTableTypes, request: Request<FlightDescriptor>) -> Info {
        described(command, catalog::table_types(command), request)
    }

    async fn do_get_table_types(&self, command: CommandGetTableTypes, _: Request<Ticket>) -> Got {
        listed(catalog::table_types(command))
    }

    async fn get_flight_info_sql_info(&self, command: CommandGetSqlInfo, request: Request<FlightDescriptor>) -> Info {
        described(command.clone(), catalog::info(command), request)
    }

    async fn do_get_sql_info(&self, command: CommandGetSqlInfo, _: Request<Ticket>) -> Got {
        listed(catalog::info(command))
    }

    async fn get_flight_info_primary_keys(&self, command: CommandGetPrimaryKeys, request: Request<FlightDescriptor>) -> Info {
        info(command.as_any(), Some(&catalog::keys_schema()), request.into_inner())
    }

    async fn do_get_primary_keys(&self, command: CommandGetPrimaryKeys, _: Request<Ticket>) -> Got {
        listed(catalog::primary_keys(&command, &self.app.engine.catalog()))
    }

    async fn get_flight_info_exported_keys(&self, _: CommandGetExportedKeys, _: Request<FlightDescriptor>) -> Info {
        Err(no_foreign_keys())
    }

    async fn get_flight_info_imported_keys(&self, _: CommandGetImportedKeys, _: Request<FlightDescriptor>) -> Info {
        Err(no_foreign_keys())
    }

    async fn get_flight_info_cross_reference(&self, _: CommandGetCrossReference, _: Request<FlightDescriptor>) -> Info {
        Err(no_foreign_keys())
    }

    async fn get_flight_info_xdbc_type_info(&self, _: CommandGetXdbcTypeInfo, _: Request<FlightDescriptor>) -> Info {
        Err(Status::unimplemented("types are not listed as XDBC has them; a table's schema has its columns' types"))
    }

    async fn get_flight_info_substrait_plan(&self, _: CommandStatementSubstraitPlan, _: Request<FlightDescriptor>) -> Info {
        Err(no_substrait())
    }

    async fn do_put_substrait_plan(&self, _: CommandStatementSubstraitPlan, _: Request<PeekableFlightDataStream>) -> Result<i64, Status> {
        Err(no_substrait())
    }

    async fn do_action_create_prepared_substrait_plan(
        &self,
        _: ActionCreatePreparedSubstraitPlanRequest,
        _: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        Err(no_substrait())
    }

    async fn do_action_begin_transaction(
        &self,
        _: ActionBeginTransactionRequest,
        _: Request<Action>,
    ) -> Result<ActionBeginTransactionResult, Status> {
        Err(no_transactions())
    }

    async fn do_action_end_transaction(&self, _: ActionEndTransactionRequest, _: Request<Action>) -> Result<(), Status> {
        Err(no_transactions())
    }

    async fn do_action_cancel_query(&self, _: ActionCancelQueryRequest, _: Request<Action>) -> Result<ActionCancelQueryResult, Status> {
        Err(Status::unimplemented("a query ends when its client stops reading: cancel the call that reads it"))
    }

    async fn do_get_fallback(&self, _: Request<Ticket>, message: Any) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        Err(Status::unimplemented(format!("there is nothing to be had by '{}'", message.type_url)))
    }

    async fn register_sql_info(&self, _: i32, _: &SqlInfo) {}
}
