// oidc-provider as its documents say, with its tokens in Redis: one client that acts for itself.
import Redis from "ioredis";
import { Provider } from "oidc-provider";

const redis = new Redis(process.env.REDIS_URL, { keyPrefix: "oidc:" });

class RedisAdapter {
  constructor(name) {
    this.name = name;
  }

  key(id) {
    return `${this.name}:${id}`;
  }

  async upsert(id, payload, expiresIn) {
    const text = JSON.stringify(payload);
    await (expiresIn ? redis.set(this.key(id), text, "EX", expiresIn) : redis.set(this.key(id), text));
  }

  async find(id) {
    const text = await redis.get(this.key(id));
    return text ? JSON.parse(text) : undefined;
  }

  async destroy(id) {
    await redis.del(this.key(id));
  }

  async consume(id) {
    const payload = await this.find(id);
    await this.upsert(id, { ...payload, consumed: Math.floor(Date.now() / 1000) });
  }

  async findByUid() {}
  async findByUserCode() {}
  async revokeByGrantId() {}
}

const provider = new Provider(`http://127.0.0.1:${process.env.PORT}`, {
  adapter: RedisAdapter,
  clients: [
    {
      client_id: "service",
      client_secret: process.env.CLIENT_SECRET,
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
      scope: "users:read",
    },
  ],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true },
  },
  scopes: ["users:read"],
  ttl: { ClientCredentials: 600 },
});
provider.listen(Number(process.env.PORT), "127.0.0.1");
