// What the scripts share: the plan they are given, lines of JSON to and from the test, and how a client proves itself.
import { createInterface } from 'node:readline'

export const plan = JSON.parse(process.argv[2])

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

/** Tell the test of a step that is done. */
export function say(step, facts = {}) {
  console.log(JSON.stringify({ step, ...facts }))
}

/** Send the user away; resolves with where the browser arrived: its address and parameters, and whether they were posted. */
export async function browse(url) {
  say('browse', { url: url.href })
  const { value } = await lines.next()
  return JSON.parse(value)
}

/** Have the user open on another device what this one shows; resolves when they answered. */
export async function show(url) {
  say('device', { url })
  await lines.next()
}

/** Return the client authentication of the plan, in the terms of a library. */
export async function proof(library) {
  const { method, secret, jwk } = plan.auth
  switch (method) {
    case 'client_secret_basic':
      return library.ClientSecretBasic(secret)
    case 'client_secret_post':
      return library.ClientSecretPost(secret)
    case 'private_key_jwt':
      return library.PrivateKeyJwt({ key: await privateKey(jwk), kid: jwk.kid })
    case 'none':
      return library.None()
  }
  throw new Error(`no client authentication ${method}`)
}

function privateKey(jwk) {
  const algorithms = {
    ES256: { name: 'ECDSA', namedCurve: 'P-256' },
    RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    EdDSA: { name: 'Ed25519' },
  }
  return crypto.subtle.importKey('jwk', { ...jwk, key_ops: undefined }, algorithms[jwk.alg], false, ['sign'])
}
