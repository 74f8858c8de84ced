// Lets in who has a good JWT access token of a Gatewright server (RFC 9068), and answers the rest as RFC 6750 has it.
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'

const SENTENCES = {
  invalid_request: 'Send one access token, in one Authorization header: Bearer, a space, the token; never in the address.',
  token_missing: 'This needs an access token in the Authorization header: Bearer, a space, the token.',
  invalid_token: 'The access token is not valid here.',
  token_expired: 'The access token has expired. Get a new one with the refresh token, or ask the user again.',
  token_bound: 'The access token is bound to a key and cannot be used as a bearer token.',
  wrong_audience: 'The access token was made for another API. Ask for one with this API as its resource.',
  wrong_account: 'The access token does not open this account.',
  insufficient_scope: 'The access token lacks a scope that this needs.',
  unavailable: 'The access token cannot be checked at the moment. Try again soon.',
}

class Refused extends Error {
  constructor(status, cause, error, scope) {
    super(SENTENCES[cause])
    Object.assign(this, { status, cause, error, scope })
  }
}

/** The middleware of one API. `issuer` and `audience` are written exactly as the tokens say them. */
export function guard({ issuer, audience }) {
  let found // the server's keys, once its metadata has said where they are

  const keys = async () => {
    found ??= discover(issuer).catch((fault) => {
      found = undefined // asked again with the next request
      throw fault
    })
    return found
  }

  const keyOf = async (header, token) => {
    try {
      return await (await keys())(header, token)
    } catch (fault) {
      if (fault instanceof errors.JWKSNoMatchingKey || fault instanceof errors.JWKSMultipleMatchingKeys) throw fault
      throw new Refused(503, 'unavailable') // nobody is let in because nobody could be asked
    }
  }

  const verified = async (token) => {
    const { payload } = await jwtVerify(token, keyOf, {
      issuer,
      audience,
      typ: 'at+jwt', // without this an ID token would do as an access token
      algorithms: ['ES256', 'RS256', 'EdDSA'],
      requiredClaims: ['exp', 'iat', 'jti', 'sub', 'client_id'],
      clockTolerance: 10, // seconds
    })
    if (payload.cnf !== undefined) throw new Refused(401, 'token_bound', 'invalid_token')
    return payload
  }

  /** Needs a scope, and for a path like `/accounts/:account/…` a token of that very account. */
  const requires = (scope, { accountIn } = {}) => async (request, response, next) => {
    try {
      const claims = await verified(bearer(request))
      const scopes = accountIn === undefined ? words(claims.scope) : scopesIn(claims, request.params[accountIn])
      if (!scopes.includes(scope)) throw new Refused(403, 'insufficient_scope', 'insufficient_scope', scope)
      request.caller = claims
    } catch (fault) {
      return answer(response, audience, named(fault))
    }
    next()
  }

  return { requires }
}

/** The token of the one Authorization header; a token in the address is refused, since every log on the way has it. */
function bearer(request) {
  const sent = request.headersDistinct.authorization ?? []
  if (sent.length > 1 || 'access_token' in request.query) throw new Refused(400, 'invalid_request', 'invalid_request')
  const [scheme, token, ...more] = (sent[0] ?? '').trim().split(/ +/)
  if (scheme.toLowerCase() !== 'bearer') throw new Refused(401, 'token_missing')
  if (more.length || !/^[\w.~+/-]+=*$/.test(token ?? '')) throw new Refused(400, 'invalid_request', 'invalid_request')
  return token
}

function scopesIn(claims, account) {
  // A token without an account has, in any of them, only the scopes that the platform's admin gave that reach.
  const everywhere = claims.account_id === undefined && claims.account === undefined
  const here = everywhere ? words(claims.scope).filter((scope) => words(claims.gw_reach).includes(scope)) : words(claims.scope)
  if (!here.length || (!everywhere && account !== claims.account && account !== claims.account_id)) {
    throw new Refused(403, 'wrong_account', 'insufficient_scope')
  }
  return here
}

const words = (text) => (typeof text === 'string' ? text.split(' ').filter(Boolean) : [])

async function discover(issuer) {
  const url = new URL(issuer)
  if (url.protocol !== 'https:' && !['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)) {
    throw new Error(`${issuer} is neither https nor http to this machine`)
  }
  url.pathname = `/.well-known/oauth-authorization-server${url.pathname.replace(/\/$/, '')}` // RFC 8414 §3.1
  const reply = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(2000) })
  const metadata = await reply.json()
  if (!reply.ok || metadata.issuer !== issuer) throw new Error(`${url} is not the metadata of ${issuer}`)
  // Kept for ten minutes, and fetched again when a token names a key that is not among them, every five seconds at most.
  return createRemoteJWKSet(new URL(metadata.jwks_uri), { timeoutDuration: 2000, cooldownDuration: 5000 })
}

/** What went wrong, in the words that Gatewright's own guard uses. Only behind a right signature more is told than `invalid_token`. */
function named(fault) {
  if (fault instanceof Refused) return fault
  if (fault instanceof errors.JWTExpired) return new Refused(401, 'token_expired', 'invalid_token')
  if (fault instanceof errors.JWTClaimValidationFailed && fault.claim === 'aud') {
    return new Refused(401, 'wrong_audience', 'invalid_token')
  }
  if (fault instanceof errors.JOSEError) return new Refused(401, 'invalid_token', 'invalid_token')
  throw fault
}

function answer(response, realm, { status, cause, error, scope, message }) {
  const said = { realm, ...(error && { error, error_description: message }), ...(scope && { scope }) }
  const challenge = Object.entries(said).map(([name, value]) => `${name}="${value}"`)
  if (status === 503) response.set('retry-after', '2')
  else response.set('www-authenticate', `Bearer ${challenge.join(', ')}`)
  response.status(status).set('cache-control', 'no-store').type('application/problem+json')
  response.send(JSON.stringify({ status, cause, detail: message, ...(scope && { missing_scope: scope }) }))
}
