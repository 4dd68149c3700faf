// Talks with the test: the task comes as the argument, each line out is a question or the result, each line in an answer.
import { createInterface } from 'node:readline'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

export const task = JSON.parse(process.argv[2])

/** Let the person open an address; returns the one at which the client would be called back. */
export async function visit(address) {
  console.log(JSON.stringify({ visit: String(address) }))
  return new URL((await lines.next()).value)
}

/** Tell the test what came of it, and end. */
export function finish(result) {
  console.log(JSON.stringify({ result }))
  process.exit(0)
}
