// The whole life of a token as an application sees it that uses openid-client: the library that most Node programs sign in with.
import * as client from 'openid-client'
import { browse, plan, proof, say } from './dialogue.js'

const config = await client.discovery(new URL(plan.issuer), plan.client_id, metadata(), plan.auth.method === 'default' ? undefined : await proof(client), {
  algorithm: plan.document,
  execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
})
say('discovered', { issuer: config.serverMetadata().issuer, pkce: config.serverMetadata().supportsPKCE() })

if (plan.grant === 'client_credentials') {
  const tokens = await client.clientCredentialsGrant(config, { scope: plan.scope })
  say('tokens', { scope: tokens.scope, expires_in: tokens.expires_in })
} else {
  await withUser()
}
say('done')

function metadata() {
  const known = { id_token_signed_response_alg: plan.id_token_alg }
  return plan.auth.method === 'default' ? { ...known, client_secret: plan.auth.secret } : known
}

async function withUser() {
  const verifier = client.randomPKCECodeVerifier()
  const nonce = client.randomNonce()
  const asked = { redirect_uri: plan.redirect_uri, scope: plan.scope, state: plan.state, nonce, ...plan.asked }
  const pkce = { code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' }
  const url = client.buildAuthorizationUrl(config, plan.pkce === false ? asked : { ...asked, ...pkce })
  const arrived = await browse(url)

  const tokens = await client.authorizationCodeGrant(config, callback(arrived), {
    pkceCodeVerifier: plan.pkce === false ? undefined : verifier,
    expectedState: plan.state,
    expectedNonce: nonce,
    idTokenExpected: true,
    maxAge: plan.max_age,
  })
  const claims = tokens.claims()
  say('tokens', { scope: tokens.scope, expires_in: tokens.expiresIn(), refresh: Boolean(tokens.refresh_token), id_token: tokens.id_token })
  say('userinfo', await client.fetchUserInfo(config, tokens.access_token, claims.sub))

  const renewed = await client.refreshTokenGrant(config, tokens.refresh_token)
  say('renewed', { rotated: renewed.refresh_token !== tokens.refresh_token, id_token: Boolean(renewed.id_token) })

  if (plan.auth.method !== 'none') say('before', { active: (await client.tokenIntrospection(config, renewed.access_token)).active })
  await client.tokenRevocation(config, renewed.refresh_token)
  if (plan.auth.method !== 'none') say('after', { active: (await client.tokenIntrospection(config, renewed.access_token)).active })
  else say('revoked', { token: renewed.access_token })

  const refused = await client.refreshTokenGrant(config, renewed.refresh_token).catch((error) => error.error)
  say('refused', { error: refused })
  if (plan.signed_out) {
    const leave = client.buildEndSessionUrl(config, {
      post_logout_redirect_uri: plan.signed_out,
      id_token_hint: tokens.id_token,
      state: 'left',
    })
    const gone = await browse(leave)
    say('left', { url: gone.url, state: gone.params.state })
  }
}

// What the library is given by a web framework: the request that the browser made of the application.
function callback({ url, params, posted }) {
  if (posted) return new Request(url, { method: 'POST', body: new URLSearchParams(params) })
  const full = new URL(url)
  for (const [name, value] of Object.entries(params)) full.searchParams.set(name, value)
  return full
}
