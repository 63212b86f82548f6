// Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
//
// node oidc-provider.js CONF: client_credentials, JWT access tokens (HS256).
// Everything is in memory; a JWT access token is not stored at all.
import { readFileSync } from 'node:fs';
import { Provider } from 'oidc-provider';

const conf = JSON.parse(readFileSync(process.argv[2]));
const provider = new Provider(conf.issuer, {
  clients: [{
    client_id: conf.client,
    client_secret: conf.clientSecret,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_basic',
    scope: conf.scopes,
  }],
  // agents:write is there, and not the client's
  scopes: [...conf.scopes.split(' '), 'agents:write'],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => conf.audience,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: conf.scopes,
        audience: conf.audience,
        accessTokenTTL: 3600,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'HS256', key: Buffer.from(conf.secret) } },
      }),
    },
  },
});
provider.on('server_error', (ctx, err) => console.error(err));
provider.listen(conf.port, '127.0.0.1');
