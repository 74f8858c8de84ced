// openid-client at `/oauth/…`, as a program uses it that was written for seed 002's platform: addresses by hand, no discovery.
import * as client from 'openid-client'
import { browse, plan, proof, say } from './dialogue.js'

const server = {
  issuer: plan.issuer,
  authorization_endpoint: `${plan.issuer}/oauth/authorize`,
  token_endpoint: `${plan.issuer}/oauth/token`,
  revocation_endpoint: `${plan.issuer}/oauth/revoke`,
}
const config = new client.Configuration(server, plan.client_id, undefined, await proof(client))
client.allowInsecureRequests(config)

const tokens = plan.grant === 'password' ? await byPassword() : await byCode()
say('tokens', {
  members: Object.keys(tokens).sort(),
  expires_in: tokens.expires_in,
  token_type: tokens.token_type,
  account: tokens.account,
})
await me('me', tokens.access_token)
const renewed = await client.refreshTokenGrant(config, tokens.refresh_token)
say('renewed', { expires_in: renewed.expires_in, rotated: renewed.refresh_token !== tokens.refresh_token })
await me('still', renewed.access_token)
await client.tokenRevocation(config, renewed.refresh_token)
await me('gone', renewed.access_token)
say('done')

async function byPassword() {
  return client.genericGrantRequest(config, 'password', { username: plan.username, password: plan.password })
}

async function byCode() {
  const url = client.buildAuthorizationUrl(config, { redirect_uri: plan.redirect_uri, state: plan.state, ...plan.asked })
  const arrived = await browse(url)
  const full = new URL(arrived.url)
  for (const [name, value] of Object.entries(arrived.params)) full.searchParams.set(name, value)
  return client.authorizationCodeGrant(config, full, { expectedState: plan.state })
}

async function me(step, token) {
  const url = new URL(`${plan.issuer}/v1/me`)
  const headers = new Headers({ accept: 'application/vnd.api+json' })
  const response = await client.fetchProtectedResource(config, token, url, 'GET', null, headers).catch((error) => error)
  if (response.status !== 200) {
    say(step, { status: response.status, why: String(response) })
    return
  }
  const { data } = await response.json()
  say(step, { status: response.status, type: response.headers.get('content-type'), attributes: data.attributes })
}
