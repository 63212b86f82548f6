// Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
// A resource server that verifies with jose, by the keys at a URL, and keeps
// them while the issuer rotates. Takes one order a line from stdin, as JSON,
// and answers each with a line. First {jwks, issuer, audience}; then {token}
// (answered with its header and claims, or the error's code) or {reload: true}
// (the keys are fetched again).
import { createInterface } from 'node:readline'
import { createRemoteJWKSet, jwtVerify } from 'jose'

let keys, expected

async function obey(order) {
  if (order.jwks !== undefined) {
    // Not to wait half a minute before an unknown kid is asked for.
    keys = createRemoteJWKSet(new URL(order.jwks), { cooldownDuration: 0 })
    expected = { issuer: order.issuer, audience: order.audience,
      requiredClaims: ['sub', 'org_id', 'iat', 'exp', 'jti'] }
    return {}
  }
  if (order.reload) {
    await keys.reload()
    return {}
  }
  const { protectedHeader, payload } = await jwtVerify(
    order.token, keys, expected)
  return { header: protectedHeader, claims: payload }
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    answer = await obey(JSON.parse(line))
  } catch (problem) {
    answer = { problem: problem.code, message: problem.message }
  }
  console.log(JSON.stringify(answer))
}
