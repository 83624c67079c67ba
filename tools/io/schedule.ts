/**
 * The order of the measurements. The host's own speed changes by a factor of two within minutes, so what is compared is measured
 * in turn: one kind of request with so many jobs goes round all subjects before the next one, and everything is repeated after that.
 */
import type { Ioeventfd } from './machine.ts';
import type { Kind, Situation } from './rows.ts';

export interface Plan {
  readonly kinds: readonly Kind[];
  readonly jobs: readonly number[];
  readonly repetitions: number;
}

export interface Entrant {
  readonly hasIoeventfd: boolean;
  /** Takes part alone, not with one job, and in half of the repetitions. */
  readonly isBrief: boolean;
}

export interface Step<Subject extends Entrant> {
  readonly subject: Subject;
  readonly repetition: number;
  readonly jobs: number;
  /** `start`: what fio costs that has nothing to do. It precedes the kinds. */
  readonly kind: Kind | 'start';
  readonly ioeventfd?: Ioeventfd;
}

/** In situations other than `alone`. */
const CROWD_JOBS = 8;

/** The steps of each repetition. */
export function roundsOf<Subject extends Entrant>(
  subjects: readonly Subject[],
  situation: Situation,
  plan: Plan,
): Step<Subject>[][] {
  const isAlone = situation === 'alone';
  const half = Math.ceil(plan.repetitions / 2);
  // What is written goes to the cache, cold or not, and one more table of buffered writes would tell nothing.
  const kinds = isAlone ? plan.kinds : plan.kinds.filter((kind) => kind !== 'create');
  return Array.from({ length: isAlone ? plan.repetitions : half }, (_, repetition) =>
    (isAlone ? plan.jobs : [CROWD_JOBS]).flatMap((jobs) => {
      const present = subjects.filter(
        ({ isBrief }) => !isBrief || (isAlone && jobs > 1 && repetition < half),
      );
      const starts = present.map((subject) => ({ subject, repetition, jobs, kind: 'start' as const }));
      const turns = present.flatMap((subject) => turnsOf(subject));
      // To and fro, so that nobody gains by being the first.
      const inOrder = repetition % 2 === 0 ? turns : turns.toReversed();
      const steps = kinds.flatMap((kind) => inOrder.map((turn) => ({ ...turn, repetition, jobs, kind })));
      return [...starts, ...steps];
    }),
  );
}

function turnsOf<Subject extends Entrant>(
  subject: Subject,
): readonly Pick<Step<Subject>, 'subject' | 'ioeventfd'>[] {
  if (!subject.hasIoeventfd) return [{ subject }];
  return [
    { subject, ioeventfd: 'off' },
    { subject, ioeventfd: 'on' },
  ];
}
