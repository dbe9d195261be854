// What a browser client does with a GRASP server, step by step, from another origin. Each step is told to the server
// that this page came from as it ends; the first that fails is the last.
import './buffer.js'
import git from 'isomorphic-git'
import http from 'isomorphic-git/http/web'
import LightningFS from '@isomorphic-git/lightning-fs'
import { finalizeEvent, generateSecretKey, getPublicKey } from 'nostr-tools/pure'
import { Relay } from 'nostr-tools/relay'
import { npubEncode } from 'nostr-tools/nip19'
import { fetchPack } from './protocol_v2.js'

const ANNOUNCEMENT = 30617
const STATE = 30618
/** How long an answer of the relay may take on a busy machine, in milliseconds. */
const PATIENCE = 60_000
const README = 'Written in a browser.\n'
const author = { name: 'Witness', email: 'witness@grasp.invalid' }

const base = new URLSearchParams(location.search).get('server')
const secret = generateSecretKey()
const owner = getPublicKey(secret)
const identifier = `browser-${owner.slice(0, 8)}`
const url = `${base}/${npubEncode(owner)}/${identifier}.git`
const fs = new LightningFS('witness')
const work = { fs, http, dir: '/work' }
/** What the subscription has brought, and what the steps hand to each other. */
const seen = { events: [], waiting: [] }

function check(holds, otherwise) {
  if (!holds) throw new Error(otherwise)
}

async function fails(promise, expected) {
  const error = await promise.then(() => undefined, (error) => error)
  check(error, `nothing failed, where ${expected} was due`)
  return error
}

const sign = (kind, tags) =>
  finalizeEvent({ kind, created_at: Math.floor(Date.now() / 1000) + (seen.later ?? 0), tags, content: '' }, secret)

const state = (oid) => sign(STATE, [['d', identifier], ['HEAD', 'ref: refs/heads/main'], ['refs/heads/main', oid]])

async function commit(message, contents) {
  await fs.promises.writeFile('/work/README.md', contents)
  await git.add({ ...work, filepath: 'README.md' })
  return git.commit({ ...work, message, author })
}

const push = () => git.push({ ...work, remote: 'origin', ref: 'main' })

/** Waits until the subscription has brought this event. */
function delivered(event) {
  if (seen.events.some(({ id }) => id === event.id)) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`kind ${event.kind} was never delivered`)), PATIENCE)
    seen.waiting.push({ id: event.id, resolve: () => resolve(clearTimeout(late)) })
  })
}

/** What is served for a filter now. */
function query(filter) {
  return new Promise((resolve) => {
    const found = []
    const subscription = seen.relay.subscribe([filter], {
      onevent: (event) => found.push(event),
      oneose: () => resolve(found, subscription.close()),
    })
  })
}

const steps = {
  async 'the page has another origin'() {
    check(new URL(base).origin !== location.origin, `${base} is this page's own origin`)
  },

  async 'the relay information document can be read'() {
    const answer = await fetch(base, { headers: { accept: 'application/nostr+json' } })
    const document = await answer.json()
    check(document.supported_grasps?.includes('GRASP-01'), JSON.stringify(document))
  },

  async 'an error can be told from a network failure'() {
    const answer = await fetch(`${base}/${npubEncode(owner)}/nothing.git/info/refs?service=git-upload-pack`)
    check(answer.status === 404, `status ${answer.status}`)
  },

  async 'nostr-tools connects and subscribes'() {
    seen.relay = await Relay.connect(base.replace(/^http/, 'ws'))
    seen.relay.publishTimeout = PATIENCE
    seen.relay.baseEoseTimeout = PATIENCE
    await new Promise((oneose) => {
      seen.relay.subscribe([{ authors: [owner] }], {
        oneose,
        onevent(event) {
          seen.events.push(event)
          seen.waiting.filter(({ id }) => id === event.id).forEach(({ resolve }) => resolve())
        },
      })
    })
  },

  async 'nostr-tools publishes announcement and state, which wait'() {
    await git.init({ ...work, defaultBranch: 'main' })
    await git.addRemote({ ...work, remote: 'origin', url })
    seen.first = await commit('First', README)
    seen.announcement = sign(ANNOUNCEMENT, [
      ['d', identifier], ['name', 'Made in a browser'], ['clone', url], ['relays', base.replace(/^http/, 'ws')],
    ])
    seen.state = state(seen.first)
    for (const event of [seen.announcement, seen.state]) {
      const message = await seen.relay.publish(event)
      check(message.startsWith('purgatory: '), `OK true, ${JSON.stringify(message)}`)
    }
    const served = await query({ authors: [owner] })
    check(served.length === 0 && seen.events.length === 0, 'an event in purgatory is served')
  },

  async 'isomorphic-git pushes what the state says'() {
    const result = await push()
    check(result.ok && result.refs['refs/heads/main'].ok, JSON.stringify(result))
  },

  async 'the subscription brings both events'() {
    await Promise.all([delivered(seen.announcement), delivered(seen.state)])
    const served = await query({ authors: [owner], kinds: [ANNOUNCEMENT, STATE] })
    check(served.length === 2, `${served.length} of the two events are served`)
  },

  async 'isomorphic-git lists refs by protocol v2'() {
    const refs = await git.listServerRefs({ http, url, protocolVersion: 2, symrefs: true })
    const oid = (name) => refs.find(({ ref }) => ref === name)?.oid
    check(oid('refs/heads/main') === seen.first && oid('HEAD') === seen.first, JSON.stringify(refs))
  },

  async 'isomorphic-git clones it'() {
    await git.clone({ fs, http, dir: '/clone', url })
    check((await git.currentBranch({ fs, dir: '/clone' })) === 'main', 'HEAD is not main')
    check((await git.resolveRef({ fs, dir: '/clone', ref: 'HEAD' })) === seen.first, 'another commit')
    const readme = await fs.promises.readFile('/clone/README.md', 'utf8')
    check(readme === README, JSON.stringify(readme))
  },

  async 'a push that no state names is refused with a reason'() {
    seen.second = await commit('Second', `${README}Twice.\n`)
    const error = await fails(push(), 'a refusal')
    const told = `${error.message} ${JSON.stringify(error.data ?? {})}`
    check(error.code === 'GitPushError' && told.includes('refs/heads/main'), told)
  },

  async 'after its state the same push is taken'() {
    seen.later = 1 // the same second would leave the order to the ids
    seen.state = state(seen.second)
    const message = await seen.relay.publish(seen.state)
    check(message.startsWith('purgatory: '), `OK true, ${JSON.stringify(message)}`)
    const result = await push()
    check(result.ok, JSON.stringify(result))
    await delivered(seen.state)
  },

  async 'isomorphic-git fetches what is new'() {
    const result = await git.fetch({ fs, http, dir: '/clone', url, ref: 'main', singleBranch: true })
    check(result.fetchHead === seen.second, JSON.stringify(result))
  },

  async 'isomorphic-git clones one commit deep'() {
    await git.clone({ fs, http, dir: '/shallow', url, depth: 1, singleBranch: true })
    const log = await git.log({ fs, dir: '/shallow' })
    check(log.length === 1 && log[0].oid === seen.second, `${log.length} commits`)
  },

  async 'blob:none brings commits and trees and no blob'() {
    await git.init({ fs, dir: '/partial' })
    seen.partial = await store('commits', await fetchPack(url, [seen.second], 'blob:none'))
    const commits = await git.log({ fs, dir: '/partial', ref: seen.second })
    check(commits.length === 2, `${commits.length} commits`)
    const { tree } = await git.readTree({ fs, dir: '/partial', oid: seen.second })
    seen.blob = tree.find(({ path }) => path === 'README.md').oid
    check(seen.partial.length === 4, `two commits and two trees are due, ${seen.partial.length} objects came`)
    await fails(git.readBlob({ fs, dir: '/partial', oid: seen.blob }), 'a missing blob')
  },

  async 'a blob is fetched by its id'() {
    const oids = await store('blob', await fetchPack(url, [seen.blob]))
    check(oids.length === 1 && oids[0] === seen.blob, JSON.stringify(oids))
    const { blob } = await git.readBlob({ fs, dir: '/partial', oid: seen.blob })
    check(new TextDecoder().decode(blob) === `${README}Twice.\n`, 'the blob says something else')
  },
}

/** Puts a pack into the partial clone; the ids of what isomorphic-git's parser finds in it. */
async function store(name, pack) {
  for (const folder of ['/partial/.git/objects', '/partial/.git/objects/pack']) {
    await fs.promises.mkdir(folder).catch(() => {}) // it is there
  }
  const filepath = `.git/objects/pack/pack-${name}.pack`
  await fs.promises.writeFile(`/partial/${filepath}`, pack)
  const { oids } = await git.indexPack({ fs, dir: '/partial', filepath })
  return oids
}

const tell = (what) => fetch('/told', { method: 'POST', body: JSON.stringify(what) })

async function witness() {
  for (const [step, run] of Object.entries(steps)) {
    try {
      await run()
    } catch (error) {
      const data = error.data ? ` ${JSON.stringify(error.data)}` : ''
      return tell({ step, failed: `${error.name}: ${error.message}${data}` })
    }
    await tell({ step })
  }
  await tell({ end: true })
}

witness()
