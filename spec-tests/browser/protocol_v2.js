// A fetch by git's protocol v2 with a filter, which isomorphic-git does not offer.

const text = new TextEncoder()
const line = (content) => (content.length + 5).toString(16).padStart(4, '0') + content + '\n'

/**
 * The pack that holds `wants` and what they reach, less what `filter` leaves out.
 * The header makes the browser ask first (a preflight), as for every client of this kind.
 */
export async function fetchPack(url, wants, filter) {
  const lines = ['no-progress', 'ofs-delta', ...(filter ? [`filter ${filter}`] : []), ...wants.map((oid) => `want ${oid}`)]
  const answer = await fetch(`${url}/git-upload-pack`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-git-upload-pack-request', 'git-protocol': 'version=2' },
    body: text.encode(`${line('command=fetch')}0001${lines.map(line).join('')}${line('done')}0000`),
  })
  if (!answer.ok) throw new Error(`git-upload-pack answers ${answer.status}: ${await answer.text()}`)
  return pack(new Uint8Array(await answer.arrayBuffer()))
}

/** The first band of the section `packfile`. */
function pack(bytes) {
  const parts = []
  let inPack = false
  for (const content of pktLines(bytes)) {
    if (!inPack) {
      const said = new TextDecoder().decode(content)
      if (said.startsWith('ERR ')) throw new Error(said)
      inPack = said.trim() === 'packfile'
    } else if (content[0] === 1) {
      parts.push(content.subarray(1))
    } else if (content[0] === 3) {
      throw new Error(new TextDecoder().decode(content.subarray(1)))
    }
  }
  if (!inPack) throw new Error('the answer has no pack')
  return new Uint8Array(parts.flatMap((part) => Array.from(part)))
}

function* pktLines(bytes) {
  for (let at = 0; at < bytes.length; ) {
    const length = parseInt(new TextDecoder().decode(bytes.subarray(at, at + 4)), 16)
    if (Number.isNaN(length)) throw new Error(`no pkt-line at byte ${at}`)
    if (length > 4) yield bytes.subarray(at + 4, at + length)
    at += Math.max(length, 4) // flush, delimiter and response-end are four bytes
  }
}
