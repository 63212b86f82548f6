// Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
// Gets a token, and uses it, with one of two OAuth client libraries. Reads
// {library, method, base, id, secret, scope?} as JSON from stdin, prints what
// the library made of the answers as JSON.
import { readFileSync } from 'node:fs'
import * as oauth4webapi from 'oauth4webapi'
import * as openidClient from 'openid-client'

const ask = JSON.parse(readFileSync(0, 'utf8'))
const server = {
  issuer: ask.base,
  token_endpoint: ask.base + '/api/oauth/token',
}
const resource = new URL(ask.base + '/api/whoami')
const parameters = ask.scope === undefined ? {} : { scope: ask.scope }

async function byOauth4webapi() {
  const insecure = { [oauth4webapi.allowInsecureRequests]: true }
  const authentication = {
    basic: oauth4webapi.ClientSecretBasic,
    post: oauth4webapi.ClientSecretPost,
  }[ask.method](ask.secret)
  const client = { client_id: ask.id }
  const response = await oauth4webapi.clientCredentialsGrantRequest(
    server, client, authentication, new URLSearchParams(parameters), insecure)
  const token = await oauth4webapi.processClientCredentialsResponse(
    server, client, response)
  const answer = await oauth4webapi.protectedResourceRequest(
    token.access_token, 'GET', resource, undefined, undefined, insecure)
  return { token, whoami: await answer.json() }
}

async function byOpenidClient() {
  const authentication = {
    basic: openidClient.ClientSecretBasic,
    post: openidClient.ClientSecretPost,
  }[ask.method](ask.secret)
  const config = new openidClient.Configuration(
    server, ask.id, undefined, authentication)
  openidClient.allowInsecureRequests(config)
  const token = await openidClient.clientCredentialsGrant(config, parameters)
  const answer = await openidClient.fetchProtectedResource(
    config, token.access_token, resource, 'GET')
  return { token, whoami: await answer.json() }
}

const libraries = {
  oauth4webapi: byOauth4webapi,
  'openid-client': byOpenidClient,
}
try {
  console.log(JSON.stringify(await libraries[ask.library]()))
} catch (problem) {
  console.log(JSON.stringify({
    problem: problem.name,
    code: problem.code,
    status: problem.status,
    error: problem.error,
    error_description: problem.error_description,
  }))
}
