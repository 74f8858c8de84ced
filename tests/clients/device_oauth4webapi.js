// Signing in at a device as oauth4webapi sees it, one question after the other (RFC 8628 §3.5).
import * as oauth from 'oauth4webapi'
import { plan, proof, say, show } from './dialogue.js'

const loose = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(plan.issuer)
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: plan.document, ...loose }))
const client = { client_id: plan.client_id, id_token_signed_response_alg: plan.id_token_alg }
const auth = await proof(oauth)

const waiting = await begin()
// Never so fast: of several workers each has to be asked twice before it can tell.
const told = []
while (told.length < 8 && !told.includes('slow_down')) told.push((await question(waiting)).error)
say('waiting', { told })

const begun = await begin()
await show(begun.verification_uri_complete)
const bought = await question(begun)
say('tokens', { scope: bought.scope, error: bought.error })
say('again', { error: (await question(begun)).error })
say('done')

async function begin() {
  const response = await oauth.deviceAuthorizationRequest(as, client, auth, { scope: plan.scope, ...plan.asked }, loose)
  const found = await oauth.processDeviceAuthorizationResponse(as, client, response)
  say('begun', { expires_in: found.expires_in, interval: found.interval, cached: response.headers.get('cache-control') })
  return found
}

async function question({ device_code }) {
  const response = await oauth.deviceCodeGrantRequest(as, client, auth, device_code, loose)
  return oauth.processDeviceCodeResponse(as, client, response).catch((error) => ({ error: error.error }))
}
