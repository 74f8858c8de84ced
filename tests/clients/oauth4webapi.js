// The whole life of a token as oauth4webapi sees it. It checks much by itself: `iss` in the answer (RFC 9207), `nonce`, every claim and
// header of an ID token, the content type of each answer. Only that http is allowed on loopback is said to it.
import * as oauth from 'oauth4webapi'
import { browse, plan, proof, say } from './dialogue.js'

const loose = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(plan.issuer)
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: plan.document, ...loose }))
say('discovered', { issuer: as.issuer })

const client = { client_id: plan.client_id, id_token_signed_response_alg: plan.id_token_alg }
const auth = await proof(oauth)

if (plan.grant === 'client_credentials') {
  const response = await oauth.clientCredentialsGrantRequest(as, client, auth, { scope: plan.scope }, loose)
  const tokens = await oauth.processClientCredentialsResponse(as, client, response)
  say('tokens', { scope: tokens.scope, expires_in: tokens.expires_in })
  await judge(tokens.access_token)
  await giveBack(tokens.access_token)
} else {
  await withUser()
}
say('done')

async function withUser() {
  const { params, verifier, nonce } = await ask()
  const callback = new URLSearchParams(params)
  const other = new URLSearchParams({ ...params, iss: 'https://attacker.example' })
  const code = oauth.validateAuthResponse(as, client, callback, plan.state)
  say('mix-up', { noticed: throws(() => oauth.validateAuthResponse(as, client, other, plan.state)) })

  const response = await oauth.authorizationCodeGrantRequest(as, client, auth, code, plan.redirect_uri, verifier, loose)
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, {
    expectedNonce: nonce,
    requireIdToken: true,
    maxAge: plan.max_age,
  })
  await oauth.validateApplicationLevelSignature(as, response, loose)
  const claims = oauth.getValidatedIdTokenClaims(tokens)
  say('tokens', { scope: tokens.scope, expires_in: tokens.expires_in, refresh: Boolean(tokens.refresh_token), id_token: tokens.id_token })

  const about = await oauth.userInfoRequest(as, client, tokens.access_token, loose)
  say('userinfo', await oauth.processUserInfoResponse(as, client, claims.sub, about))
  await judge(tokens.access_token)

  const again = await oauth.refreshTokenGrantRequest(as, client, auth, tokens.refresh_token, loose)
  const renewed = await oauth.processRefreshTokenResponse(as, client, again)
  if (renewed.id_token) await oauth.validateApplicationLevelSignature(as, again, loose)
  say('renewed', { rotated: renewed.refresh_token !== tokens.refresh_token, id_token: Boolean(renewed.id_token) })

  await giveBack(renewed.refresh_token, renewed.access_token)
  const late = await oauth.refreshTokenGrantRequest(as, client, auth, renewed.refresh_token, loose)
  const refused = await oauth.processRefreshTokenResponse(as, client, late).catch((error) => error.error)
  say('refused', { error: refused })
}

async function ask() {
  const verifier = oauth.generateRandomCodeVerifier()
  const nonce = oauth.generateRandomNonce()
  const url = new URL(as.authorization_endpoint)
  const asked = {
    client_id: client.client_id,
    response_type: 'code',
    redirect_uri: plan.redirect_uri,
    scope: plan.scope,
    state: plan.state,
    nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...plan.asked,
  }
  for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value)
  return { params: (await browse(url)).params, verifier, nonce }
}

// As a resource server: RFC 9068 for a JWT; nothing to see in an opaque token.
async function judge(token) {
  if (!plan.audience) return
  const request = new Request(`${plan.audience}/things`, { headers: { authorization: `Bearer ${token}` } })
  const options = { ...loose, signingAlgorithms: [plan.access_token_alg] }
  const claims = await oauth.validateJwtAccessToken(as, request, plan.audience, options)
  const elsewhere = await oauth.validateJwtAccessToken(as, request, 'https://other.example', options).catch((error) => error.name)
  say('judged', { claims, elsewhere })
}

async function giveBack(token, watched = token) {
  if (plan.auth.method !== 'none') say('before', { active: await active(watched) })
  await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, token, loose))
  if (plan.auth.method !== 'none') say('after', { active: await active(watched) })
  else say('revoked', { token: watched })
}

async function active(token) {
  const response = await oauth.introspectionRequest(as, client, auth, token, loose)
  return (await oauth.processIntrospectionResponse(as, client, response)).active
}

function throws(act) {
  try {
    act()
  } catch {
    return true
  }
  return false
}
