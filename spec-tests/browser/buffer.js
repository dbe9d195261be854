// isomorphic-git expects node's Buffer, and looks for it when it is loaded.
import { Buffer } from 'buffer'

globalThis.Buffer = Buffer
