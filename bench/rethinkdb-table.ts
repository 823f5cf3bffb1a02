/** One document of about 290 bytes, as those of the recording's activity log. */
export function activity(number: number) {
  const spread = (Math.imul(number, 2_654_435_761) >>> 0).toString(16).padStart(8, "0");
  return {
    id: `${spread}-d8f1-6adf-91b7-${number.toString(16).padStart(12, "0")}`,
    action: ["login", "logout", "view", "edit"][number % 4]!,
    meta: { ip: `10.0.${number & 255}.1`, tags: ["a", number % 10], ua: "Mozilla/5.0 (X11; Linux x86_64)" },
    note: number % 5 === 0 ? "x".repeat(number % 60) : null,
    ok: number % 3 > 0,
    seq: number,
    updated_at: { $reql_type$: "TIME", epoch_time: 1_600_000_000 + number / 4, timezone: "+00:00" },
    user_id: `u${number % 1_000}`,
  };
}
