// Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
// Everything that a client does, with one of two OAuth client libraries, from
// the issuer's URL alone: reads its metadata, gets a token, uses it, asks what
// it is worth, revokes it, and asks again. Reads {library, method, base, id,
// secret | key and alg, scope, foreign?} as JSON from stdin, prints what the
// library made of the answers as JSON.
import { readFileSync } from 'node:fs'
import { importJWK } from 'jose'
import * as oauth4webapi from 'oauth4webapi'
import * as openidClient from 'openid-client'

const ask = JSON.parse(readFileSync(0, 'utf8'))
const issuer = new URL(ask.base)
const resource = new URL(ask.base + '/api/whoami')
const parameters = { scope: ask.scope }

// How the client shows who it is, in the words of either library.
async function authentication(library) {
  if (ask.method === 'private_key_jwt') {
    const key = await importJWK(ask.key, ask.alg)
    return library.PrivateKeyJwt({ key, kid: ask.key.kid })
  }
  return {
    basic: library.ClientSecretBasic,
    post: library.ClientSecretPost,
  }[ask.method](ask.secret)
}

async function byOauth4webapi() {
  const library = oauth4webapi
  const insecure = { [library.allowInsecureRequests]: true }
  const server = await library.processDiscoveryResponse(
    issuer, await library.discoveryRequest(
      issuer, { algorithm: 'oauth2', ...insecure }))
  const client = { client_id: ask.id }
  const shown = await authentication(library)
  const token = await library.processClientCredentialsResponse(
    server, client, await library.clientCredentialsGrantRequest(
      server, client, shown, new URLSearchParams(parameters), insecure))
  const use = async () => {
    const answer = await library.protectedResourceRequest(
      token.access_token, 'GET', resource, undefined, undefined, insecure)
    return answer.json()
  }
  const introspect = async (what) => library.processIntrospectionResponse(
    server, client, await library.introspectionRequest(
      server, client, shown, what, insecure))
  const revoke = async (what) => library.processRevocationResponse(
    await library.revocationRequest(server, client, shown, what, insecure))
  return { server, token, use, introspect, revoke }
}

async function byOpenidClient() {
  const library = openidClient
  const config = await library.discovery(
    issuer, ask.id, undefined, await authentication(library),
    { algorithm: 'oauth2', execute: [library.allowInsecureRequests] })
  const token = await library.clientCredentialsGrant(config, parameters)
  const use = async () => {
    const answer = await library.fetchProtectedResource(
      config, token.access_token, resource, 'GET')
    return answer.json()
  }
  return {
    server: config.serverMetadata(), token, use,
    introspect: (what) => library.tokenIntrospection(config, what),
    revoke: (what) => library.tokenRevocation(config, what),
  }
}

async function failure(action) {
  try {
    await action()
  } catch (problem) {
    return {
      problem: problem.name, code: problem.code, status: problem.status,
      error: problem.error, challenge: problem.cause?.[0]?.parameters?.error,
    }
  }
  return null
}

async function all() {
  const { server, token, use, introspect, revoke } = await {
    oauth4webapi: byOauth4webapi,
    'openid-client': byOpenidClient,
  }[ask.library]()
  const what = token.access_token
  const out = { server, token, whoami: await use() }
  out.active = await introspect(what)
  if (ask.foreign !== undefined) {
    out.foreign = await failure(() => revoke(ask.foreign))
  }
  out.revoked = (await revoke(what)) ?? 'done'
  out.inactive = await introspect(what)
  out.refused = await failure(use)
  return out
}

try {
  console.log(JSON.stringify(await all()))
} catch (problem) {
  console.log(JSON.stringify({
    problem: problem.name, code: problem.code, status: problem.status,
    error: problem.error, message: problem.message,
  }))
}
