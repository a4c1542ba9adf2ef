// An identity provider of its own for the tests: the npm package oidc-provider, told to behave as Pro Santé Connect
// does (or a staff provider), with a page of buttons instead of a card reader. Standard input: what `Peer` writes.
import { createServer } from 'node:http';
import { once } from 'node:events';
import Provider from 'oidc-provider';

let told = '';
for await (const part of process.stdin) told += part;
const { issuer, clients, accounts, claims, acrs, logout } = JSON.parse(told);
const find = (id) => accounts.find((each) => each.userinfo.sub === id);

const provider = new Provider(issuer, {
  clients,
  claims: { openid: ['sub', 'acr', 'amr'], ...claims },
  scopes: ['openid', ...Object.keys(claims)],
  acrValues: acrs,
  pkce: { required: () => true },
  conformIdTokenClaims: true,
  cookies: { keys: ['only for tests'] },
  features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: logout } },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  ttl: { Session: 3600, Interaction: 3600, Grant: 3600, AccessToken: 300, IdToken: 300 },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => find(id).userinfo }),
  async loadExistingGrant({ oidc }) { // whoever signs in agrees to what is asked
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope(oidc.params.scope);
    await grant.save();
    return grant;
  },
});

async function choose(request, response) {
  if (request.method === 'GET') {
    const buttons = accounts.map(({ userinfo, label }) => `<p><button name="sub" value="${userinfo.sub}">${label}</button></p>`);
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><title>Who</title><h1>Who are you?</h1><form method="post">${buttons.join('')}
      <p><button name="sub" value="">Nobody</button></p></form>`);
    return;
  }
  let body = '';
  for await (const part of request) body += part;
  const account = find(new URLSearchParams(body).get('sub'));
  const result = account
    ? { login: { accountId: account.userinfo.sub, acr: account.acr, amr: account.amr } }
    : { error: 'access_denied', error_description: 'somebody changed her mind' };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

const answer = provider.callback();
const server = createServer((request, response) => {
  if (request.url.startsWith('/interaction/')) {
    choose(request, response).catch((error) => { response.statusCode = 500; response.end(String(error)); });
    return;
  }
  request.url = request.url.replace('/.well-known/wallet-openid-configuration', '/.well-known/openid-configuration');
  answer(request, response);
});
server.listen(Number(new URL(issuer).port), '127.0.0.1');
await once(server, 'listening');
console.log('listening');
