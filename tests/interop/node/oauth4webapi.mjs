import * as oauth from 'oauth4webapi'
import { finish, task, visit } from './dialogue.mjs'

const { issuer, web, service, device } = task
const options = { [oauth.allowInsecureRequests]: true }

async function discover(algorithm) {
  const address = new URL(issuer)
  return oauth.processDiscoveryResponse(address, await oauth.discoveryRequest(address, { ...options, algorithm }))
}

const as = await discover('oidc')

async function signIn(client, authentication, algorithm) {
  const me = { client_id: client.client_id, id_token_signed_response_alg: algorithm }
  const verifier = oauth.generateRandomCodeVerifier()
  const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()]
  const address = new URL(as.authorization_endpoint)
  address.search = new URLSearchParams({
    client_id: client.client_id,
    response_type: 'code',
    redirect_uri: client.redirect_uri,
    scope: 'openid profile email offline_access',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  })
  const callback = oauth.validateAuthResponse(as, me, await visit(address), state)
  const exchanged = await oauth.authorizationCodeGrantRequest(
    as, me, authentication, callback, client.redirect_uri, verifier, options,
  )
  const checks = { expectedNonce: nonce, requireIdToken: true }
  const tokens = await oauth.processAuthorizationCodeResponse(as, me, exchanged, checks)
  await oauth.validateApplicationLevelSignature(as, exchanged, options)
  return { me, tokens, claims: oauth.getValidatedIdTokenClaims(tokens) }
}

async function liveAsWebsite() {
  const authentication = oauth.ClientSecretBasic(web.client_secret)
  const { me, tokens, claims } = await signIn(web, authentication, 'RS256')
  const asked = await oauth.userInfoRequest(as, me, tokens.access_token, options)
  const person = await oauth.processUserInfoResponse(as, me, claims.sub, asked)
  const refreshed = await oauth.processRefreshTokenResponse(
    as, me, await oauth.refreshTokenGrantRequest(as, me, authentication, tokens.refresh_token, options),
  )
  const call = new Request(`${issuer}/api/v1/auth/me`, { headers: { Authorization: `Bearer ${refreshed.access_token}` } })
  const token = await oauth.validateJwtAccessToken(as, call, issuer, options)
  const introspect = async () => oauth.processIntrospectionResponse(
    as, me, await oauth.introspectionRequest(as, me, authentication, refreshed.access_token, options),
  )
  const before = await introspect()
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(as, me, authentication, refreshed.refresh_token, options),
  )
  return {
    email: person.email,
    token_is_for: token.client_id,
    was_active: before.active,
    is_active: (await introspect()).active,
  }
}

async function signInWith(client, algorithm) {
  const { claims } = await signIn(client, oauth.None(), algorithm)
  return claims.aud
}

async function actForItself() {
  const me = { client_id: service.client_id }
  const authentication = oauth.ClientSecretPost(service.client_secret)
  const answer = await oauth.clientCredentialsGrantRequest(as, me, authentication, { scope: 'users:read' }, options)
  return (await oauth.processClientCredentialsResponse(as, me, answer)).scope
}

async function connectDevice() {
  const me = { client_id: device.client_id }
  const started = await oauth.processDeviceAuthorizationResponse(
    as, me, await oauth.deviceAuthorizationRequest(as, me, oauth.None(), { scope: 'profile' }, options),
  )
  const poll = async () => oauth.processDeviceCodeResponse(
    as, me, await oauth.deviceCodeGrantRequest(as, me, oauth.None(), started.device_code, options),
  )
  const early = await poll().catch((refusal) => refusal.error)
  await visit(started.verification_uri_complete)
  await new Promise((resolve) => setTimeout(resolve, started.interval * 1000))
  return [early, (await poll()).scope]
}

async function beRefused() {
  const me = { client_id: web.client_id }
  const refusal = await oauth.processRefreshTokenResponse(
    as, me, await oauth.refreshTokenGrantRequest(as, me, oauth.ClientSecretBasic(web.client_secret), 'none', options),
  ).catch((error) => error)
  const challenge = await oauth.protectedResourceRequest(
    'none', 'GET', new URL(as.userinfo_endpoint), undefined, undefined, options,
  ).catch((error) => error)
  return [refusal.error, challenge.cause[0].scheme, challenge.cause[0].parameters.error]
}

async function findResource() {
  const address = new URL(issuer)
  const found = await oauth.processResourceDiscoveryResponse(
    address, await oauth.resourceDiscoveryRequest(address, options),
  )
  return found.authorization_servers
}

finish({
  same_metadata: JSON.stringify(await discover('oauth2')) === JSON.stringify(as),
  website: await liveAsWebsite(),
  ES256: await signInWith(task.es256, 'ES256'),
  EdDSA: await signInWith(task.eddsa, 'EdDSA'),
  service: await actForItself(),
  device: await connectDevice(),
  refused: await beRefused(),
  resource: await findResource(),
})
