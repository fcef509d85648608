// A certified authorization server on a port of the system's choice, for the tests alone.
//
// Beside what oidc-provider serves, GET /rotate gives it another key to sign with.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";

import Provider from "oidc-provider";

const RESOURCES = { "urn:test:jwt": "jwt", "urn:test:opaque": "opaque" };

function key() {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { ...privateKey.export({ format: "jwk" }), kid: randomUUID(), use: "sig", alg: "ES256" };
}

let keys = [key()];
let provider;

function make(issuer) {
  provider = new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: [randomUUID()] },
    scopes: ["read", "write"],
    clientDefaults: {
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: "ES256",
    },
    clients: [
      { client_id: "my-api", client_secret: "its secret: 100%", grant_types: [] },
      {
        client_id: "caller",
        client_secret: "the caller's secret",
        grant_types: ["client_credentials"],
      },
    ],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, resource) => ({
          scope: "read write",
          audience: "my-api",
          accessTokenTTL: 600,
          accessTokenFormat: RESOURCES[resource],
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
  });
  // It serves its metadata at OpenID's place alone; RFC 8414 has one of its own.
  provider.use(async (ctx, next) => {
    if (ctx.path === "/.well-known/oauth-authorization-server") {
      ctx.path = "/.well-known/openid-configuration";
    }
    await next();
  });
}

const server = createServer((request, response) => {
  if (request.url === "/rotate") {
    keys = [key(), ...keys];
    make(provider.issuer);
    response.end("rotated\n");
    return;
  }
  provider.callback()(request, response);
});

server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  make(issuer);
  console.log(`listening on ${issuer}`);
});
