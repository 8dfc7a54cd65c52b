// Drives a server with a public client library as it is, call by call.
//
//     node node_clients.js CLIENT URL
//
// Prints one JSON object: of each call `ok`, `-` where the library has none, or what went wrong. NODE_PATH says where the libraries are.
'use strict'

const assert = require('assert')

const PATIENCE_MS = 30000
const EARLIEST = { 'auto.offset.reset': 'earliest' }

async function until (what, found) {
  const began = Date.now()
  for (;;) {
    const answer = await found()
    if (answer) return answer
    if (Date.now() - began > PATIENCE_MS) throw new Error(`${what}: ${JSON.stringify(answer)}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

// Whatever a library says of a query, the server says whether it runs.
async function server (url, sql) {
  const answer = await fetch(`${url}/ksql`, { method: 'POST', body: JSON.stringify({ ksql: sql, streamsProperties: EARLIEST }) })
  return answer.json()
}

// A push query that is read by callbacks: its id, its rows, and whether it is over.
class Pushed {
  constructor () { this.rows = []; this.id = null; this.over = false }
  // Libraries that set no properties see only what comes from now on.
  async first (insert) {
    await until('the first row', async () => {
      if (this.id !== null && this.rows.length > 0) return true
      await insert()
      return false
    })
    assert.deepStrictEqual(this.rows[0], ['a', 1])
  }
}

class KsqldbJs {
  constructor (url) {
    const Ksqldb = require('ksqldb-js')
    this.api = new Ksqldb({ ksqldbURL: url })
  }

  async info () { return (await this.api.inspectServerInfo()).data.KsqlServerInfo.version }
  async ksql (sql) { return [await this.api.ksql(sql)] }
  async insert (stream, row) { return JSON.stringify(await this.api.insertStream(stream, [row])).includes('"ok"') }
  async pull (sql) { return (await this.api.pull(sql)).slice(1) }
  async push (sql) {
    const pushed = new Pushed()
    const read = chunk => {
      for (const line of String(chunk).split('\n').filter(Boolean)) {
        const parsed = JSON.parse(line)
        if (Array.isArray(parsed)) pushed.rows.push(parsed); else pushed.id = parsed.queryId || pushed.id
      }
    }
    this.api.push(sql, read).catch(() => {})
    return pushed
  }

  async close (id) { await this.api.terminate(id) }
  async status (id) { return (await this.api.inspectQueryStatus(id)).data.status }
}

class KsqldbClient {
  constructor (url) {
    const Client = require('ksqldb-client')
    const { hostname, port } = new URL(url)
    this.api = new (Client.default || Client)({ host: `http://${hostname}`, port })
  }

  async connect () { await this.api.connect() }
  async disconnect () { await this.api.disconnect() }
  async ksql (sql) {
    const { data, error } = await this.api.executeStatement(sql, { streamsProperties: EARLIEST })
    if (error) throw new Error(JSON.stringify(error))
    return Array.isArray(data) ? data : [data]
  }

  async insert (stream, row) { return (await this.api.insertInto(stream, row)).data.rows[0].status === 'ok' }
  async pull (sql) {
    const { data, error } = await this.api.query(sql)
    if (error) throw new Error(JSON.stringify(error))
    return data.rows.map(row => Object.values(row))
  }

  async push (sql) {
    const pushed = new Pushed()
    const read = ({ metadata, rows }) => {
      if (metadata && metadata.queryId) pushed.id = metadata.queryId
      pushed.rows.push(...(rows || []).map(row => Object.values(row)))
    }
    this.api.streamQuery(sql, read, { properties: EARLIEST, streamsProperties: EARLIEST }).then(() => { pushed.over = true }, () => { pushed.over = true })
    return pushed
  }

  async close (id) { await this.api.terminatePushQuery(id) }
  async lists () { return [await this.api.listStreams(), await this.api.listTables(), await this.api.listTopics(), await this.api.listQueries()] }
  async describe (name) { return this.api.describeSource(name) }
}

class KsqldbClientNode {
  constructor (url) {
    const { KsqlDbClient } = require('ksqldb-client-node')
    this.session = new KsqlDbClient({ url }).session()
  }

  async disconnect () { this.session.close() }
  async pull (sql) {
    const found = []
    for await (const rows of this.session.queryStream({ sql })) found.push(...rows)
    return found.map(row => Object.values(row))
  }

  async push (sql) {
    const pushed = new Pushed()
    const stream = this.session.queryStream({ sql, properties: EARLIEST })
    const reading = (async () => {
      for await (const rows of stream) {
        pushed.id = stream.queryId
        pushed.rows.push(...rows.map(row => Object.values(row)))
      }
    })()
    reading.catch(() => {}).finally(() => { pushed.over = true })
    pushed.hangUp = () => this.session.destroy()
    return pushed
  }
}

class Cube {
  constructor (url) {
    const { KsqlDriver } = require('@cubejs-backend/ksql-driver')
    this.api = new KsqlDriver({ url })
  }

  async info () { await this.api.testConnection(); return true }
  // It puts a semicolon behind by itself.
  async ksql (sql) { return [].concat(await this.api.query(sql.replace(/;$/, ''), [])) }
  async lists () { return [Object.keys((await this.api.tablesSchema())[''])] }
  async describe (name) { return { fields: await this.api.tableColumnTypes(name.toUpperCase()) } }
}

const CLIENTS = { 'ksqldb-js': KsqldbJs, 'ksqldb-client': KsqldbClient, 'ksqldb-client-node': KsqldbClientNode, 'cubejs-ksql-driver': Cube }

async function main (name, url) {
  const client = new CLIENTS[name](url)
  if (client.connect) await client.connect()
  const stream = `node_${name.replace(/-/g, '_')}_s`
  const table = `node_${name.replace(/-/g, '_')}_t`
  const made = {}
  const create = `CREATE STREAM ${stream} (k STRING KEY, n INT) WITH (KAFKA_TOPIC='${stream}', PARTITIONS=1, VALUE_FORMAT='JSON');`
  const createAs = `CREATE TABLE ${table} AS SELECT k, SUM(n) AS total FROM ${stream} GROUP BY k;`
  const queries = async () => (await server(url, 'SHOW QUERIES;'))[0].queries.map(query => query.id)
  const begin = async () => {
    const pushed = await client.push(`SELECT k, n FROM ${stream} EMIT CHANGES;`)
    await pushed.first(() => server(url, `INSERT INTO ${stream} (k, n) VALUES ('a', 1);`))
    return pushed
  }
  const ended = pushed => until('the query ends', async () => !(await queries()).includes(pushed.id))
  const ksql = async sql => client.ksql ? client.ksql(sql) : server(url, sql)
  const steps = [
    ['info', 'info', async () => assert(await client.info())],
    // What a library can't do is done for it, so that the rest can be seen.
    ['CREATE STREAM', 'ksql', async () => { made.command = (await ksql(create))[0].commandId }, true],
    ['CREATE TABLE AS', 'ksql', async () => { const created = await ksql(createAs); made.command = (created[0] && created[0].commandId) || made.command; made.query = (await queries()).find(id => id.startsWith(`CTAS_${table.toUpperCase()}`)); assert(made.query) }, true],
    ['INSERT VALUES', 'ksql', async () => ksql(`INSERT INTO ${stream} (k, n) VALUES ('a', 1);`), true],
    ['insert API', 'insert', async () => assert(await client.insert(stream, { k: 'a', n: 2 }))],
    ['pull', 'pull', async () => until('the row', async () => (await client.pull(`SELECT k, total FROM ${table} WHERE k = 'a';`)).some(row => row[0] === 'a'))],
    ['push', 'push', async () => { const pushed = await begin(); await server(url, `TERMINATE ${pushed.id};`); await ended(pushed) }],
    ['stop: close', 'close', async () => { const pushed = await begin(); await client.close(pushed.id); await ended(pushed) }],
    ['stop: TERMINATE', 'push', async () => { const pushed = await begin(); await ksql(`TERMINATE ${pushed.id};`); await ended(pushed) }],
    ['stop: hang up', 'push', async () => {
      const pushed = await begin()
      if (!pushed.hangUp) return '-'
      pushed.hangUp()
      await ended(pushed)
    }],
    ['lists', 'ksql', async () => {
      const found = client.lists ? await client.lists() : await Promise.all(['STREAMS', 'TABLES', 'TOPICS'].map(what => client.ksql(`SHOW ${what};`)))
      assert(JSON.stringify(found).includes(stream.toUpperCase()), JSON.stringify(found))
    }],
    ['describe', 'ksql', async () => {
      const found = client.describe ? await client.describe(table) : await client.ksql(`DESCRIBE ${table};`)
      assert(JSON.stringify(found).includes('TOTAL'), JSON.stringify(found))
    }],
    ['status', 'status', async () => assert.strictEqual(await client.status(made.command), 'SUCCESS')],
    ['TERMINATE', 'ksql', async () => { await client.ksql(`TERMINATE ${made.query};`); assert(!(await queries()).includes(made.query)) }]
  ]
  const outcome = {}
  for (const [call, needed, run, isNeeded] of steps) {
    const offers = Boolean(client[needed])
    if (!offers && !isNeeded) { outcome[call] = '-'; continue }
    try {
      const said = await run()
      outcome[call] = !offers || said === '-' ? '-' : 'ok'
    } catch (error) {
      outcome[call] = `${error && error.message ? error.message : JSON.stringify(error)}`
    }
  }
  console.log('\n' + JSON.stringify(outcome))
  process.exit(0)
}

process.on('unhandledRejection', () => {})
main(...process.argv.slice(2)).catch(error => { console.error(error); process.exit(1) })
