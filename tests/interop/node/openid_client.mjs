import * as client from 'openid-client'
import { finish, task, visit } from './dialogue.mjs'

const { issuer, web, service, device } = task

async function discover({ client_id }, authentication) {
  const config = await client.discovery(new URL(issuer), client_id, undefined, authentication, {
    execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
  })
  config.timeout = 20
  return config
}

async function signIn() {
  const config = await discover(web, client.ClientSecretBasic(web.client_secret))
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const [state, nonce] = [client.randomState(), client.randomNonce()]
  const address = client.buildAuthorizationUrl(config, {
    redirect_uri: web.redirect_uri,
    scope: 'openid profile email offline_access',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    max_age: '600',
    state,
    nonce,
  })
  const callback = await visit(address)
  const first = await client.authorizationCodeGrant(config, callback, {
    pkceCodeVerifier,
    expectedState: state,
    expectedNonce: nonce,
    maxAge: 600,
    idTokenExpected: true,
  })
  const { sub } = first.claims()
  const person = await client.fetchUserInfo(config, first.access_token, sub)
  const second = await client.refreshTokenGrant(config, first.refresh_token)
  const told = await client.tokenIntrospection(config, second.access_token)
  await client.tokenRevocation(config, second.refresh_token)
  const after = await client.tokenIntrospection(config, second.access_token)
  const leave = client.buildEndSessionUrl(config, {
    id_token_hint: second.id_token ?? first.id_token,
    post_logout_redirect_uri: web.post_logout_redirect_uri,
    state: 'bye',
  })
  return {
    email: person.email,
    is_same_person: told.sub === sub,
    was_active: told.active,
    is_active: after.active,
    left_at: String(await visit(leave)),
  }
}

async function signInByForm() {
  const config = await discover(web, client.ClientSecretPost(web.client_secret))
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const [state, nonce] = [client.randomState(), client.randomNonce()]
  const address = client.buildAuthorizationUrl(config, {
    redirect_uri: web.redirect_uri,
    scope: 'openid',
    response_mode: 'form_post',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  })
  const form = (await visit(address)).searchParams
  const callback = new Request(web.redirect_uri, { method: 'POST', body: form })
  const checks = { pkceCodeVerifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }
  const tokens = await client.authorizationCodeGrant(config, callback, checks)
  return tokens.claims().aud
}

async function actForItself() {
  const config = await discover(service, client.ClientSecretPost(service.client_secret))
  const tokens = await client.clientCredentialsGrant(config, { scope: 'users:read' })
  return tokens.scope
}

async function connectDevice() {
  const config = await discover(device, client.None())
  const started = await client.initiateDeviceAuthorization(config, { scope: 'profile' })
  await visit(started.verification_uri_complete)
  const tokens = await client.pollDeviceAuthorizationGrant(config, started)
  return tokens.scope
}

async function beRefused() {
  const config = await discover(web, client.ClientSecretBasic('wrong'))
  const error = await client.refreshTokenGrant(config, 'none').catch((refusal) => refusal)
  return [error.constructor.name, error.cause?.[0]?.scheme ?? error.error]
}

finish({
  signed_in: await signIn(),
  by_form: await signInByForm(),
  service: await actForItself(),
  device: await connectDevice(),
  refused: await beRefused(),
})
