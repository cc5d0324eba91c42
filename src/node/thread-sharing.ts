// Whose turns come on this thread, whatever network they are of: what one guest is left, another one has not.

import { Sharing } from '../base/turn.ts';

export const threadSharing = new Sharing();
