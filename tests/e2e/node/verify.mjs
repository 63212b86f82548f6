// Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
// Verifies a token with jose. Reads {token, secret, issuer, audience} as JSON
// from stdin, prints the header and the claims, or the error's code.
import { readFileSync } from 'node:fs'
import { jwtVerify } from 'jose'

const ask = JSON.parse(readFileSync(0, 'utf8'))
try {
  const { protectedHeader, payload } = await jwtVerify(
    ask.token, new TextEncoder().encode(ask.secret), {
      issuer: ask.issuer,
      audience: ask.audience,
      algorithms: ['HS256'],
      typ: 'JWT',
      requiredClaims: ['sub', 'org_id', 'iat', 'exp', 'jti'],
    })
  console.log(JSON.stringify({ header: protectedHeader, claims: payload }))
} catch (problem) {
  console.log(JSON.stringify({ problem: problem.code }))
}
