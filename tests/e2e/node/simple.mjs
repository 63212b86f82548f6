// Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
// Gets a token with simple-oauth2, and revokes it. Reads {base, id, secret,
// scope, options, revoke?} as JSON from stdin, prints what the library made
// of the answers as JSON.
import { readFileSync } from 'node:fs'
import { ClientCredentials } from 'simple-oauth2'

const ask = JSON.parse(readFileSync(0, 'utf8'))
const client = new ClientCredentials({
  client: { id: ask.id, secret: ask.secret },
  auth: {
    tokenHost: ask.base,
    tokenPath: '/api/oauth/token',
    revokePath: '/api/oauth/revoke',
  },
  options: ask.options,
})
try {
  const got = await client.getToken({ scope: ask.scope })
  const expired = got.expired()
  if (ask.revoke) {
    await got.revoke('access_token')
  }
  console.log(JSON.stringify({ token: got.token, expired }))
} catch (problem) {
  console.log(JSON.stringify({
    problem: problem.message,
    status: problem.output?.statusCode,
    payload: problem.data?.payload,
  }))
}
