import { expect, test } from "vitest";
import { asHeadwatersError, HeadwatersError } from "./errors.ts";

test("the error that came first is reported, also if disposing failed after it (case 14)", async () => {
  const disposing = async (): Promise<void> => {
    await using _ = {
      async [Symbol.asyncDispose]() {
        throw new Error("it can't be closed");
      },
    };
    throw new HeadwatersError("DESTINATION_UNUSABLE", "there is no memory");
  };
  const thrown: unknown = await disposing().catch((error: unknown) => error);
  expect(thrown).not.toBeInstanceOf(HeadwatersError);
  expect(asHeadwatersError(thrown)).toMatchObject({ code: "DESTINATION_UNUSABLE", message: "there is no memory" });
});
