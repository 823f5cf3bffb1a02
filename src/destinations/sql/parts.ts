import type { Session, Target } from "./dialect.ts";
import type { Copy, Stage } from "./model.ts";
import { stageTargets } from "./stage.ts";

/** The parts of a copy, as in `Slicing`. */
export async function partsOfCopy(session: Session, copy: Copy): Promise<readonly string[]> {
  const { hidesOrder, identity, slicing } = session.dialect;
  // Parts are cut by the places of rows, which such a column hides.
  if ([...copy.native.keys()].some((name) => hidesOrder.has(identity(name)))) return [copy.relation];
  return slicing.parts(session, copy.relation, columnsOfCopy(session, copy));
}

export function columnsOfCopy({ dialect }: Session, { columns }: Copy): readonly Target[] {
  return [...columns].map(([name, type]) => ({ sql: dialect.quote(name), type }));
}

/** The parts of a stage, as in `Slicing`. */
export function partsOfStage(session: Session, stage: Stage): Promise<readonly string[]> {
  const { dialect } = session;
  return dialect.slicing.parts(session, stage.relation, [...stageTargets(dialect, stage).values()]);
}
