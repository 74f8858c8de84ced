// Signing in at a device as a program sees it that uses openid-client (RFC 8628).
import * as client from 'openid-client'
import { plan, proof, say, show } from './dialogue.js'

const config = await client.discovery(new URL(plan.issuer), plan.client_id, { id_token_signed_response_alg: plan.id_token_alg }, await proof(client), {
  algorithm: plan.document,
  execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
})
say('discovered', { grants: config.serverMetadata().grant_types_supported })

const begun = await client.initiateDeviceAuthorization(config, { scope: plan.scope, ...plan.asked })
say('begun', { user_code: begun.user_code, uri: begun.verification_uri, complete: begun.verification_uri_complete, interval: begun.interval })
await show(begun.verification_uri_complete)

// It waits by itself, for as long as the server says.
const tokens = await client.pollDeviceAuthorizationGrant(config, begun).catch((error) => {
  say('refused', { error: error.error })
})
if (tokens) {
  say('tokens', { scope: tokens.scope, sub: tokens.claims().sub, nonce: tokens.claims().nonce ?? null })
  say('userinfo', await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub))
  const renewed = await client.refreshTokenGrant(config, tokens.refresh_token)
  say('renewed', { rotated: renewed.refresh_token !== tokens.refresh_token })
  await client.tokenRevocation(config, renewed.refresh_token)
  say('ended', { error: await client.refreshTokenGrant(config, renewed.refresh_token).catch((error) => error.error) })
}
say('done')
