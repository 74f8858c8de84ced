// A bank that lets apps see balances and send money. ISSUER and PORT come from the environment.
import express from 'express'

import { guard } from './guard.js'

const { ISSUER = 'http://127.0.0.1:8600', AUDIENCE = 'https://bank.acme.test', PORT = '8605' } = process.env
const { requires } = guard({ issuer: ISSUER, audience: AUDIENCE })

const app = express()
app.disable('x-powered-by')

app.get('/balance', requires('read:balance'), (request, response) => {
  response.json({ user: request.caller.sub, app: request.caller.client_id })
})

app.get('/accounts/:account/balance', requires('read:balance', { accountIn: 'account' }), (request, response) => {
  response.json({ user: request.caller.sub, account: request.params.account })
})

app.post('/transfers', requires('transfer:funds'), (request, response) => {
  response.json({ sent: true })
})

const server = app.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`the bank is at http://127.0.0.1:${server.address().port}`)
})
